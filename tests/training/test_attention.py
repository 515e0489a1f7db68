import pytest
import torch
from torch.nn import functional

from ftspace.training.attention import causal, suits


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("length", [1, 31, 64, 77])
def test_products_attend_as_torchs_own_attention_does(dtype: torch.dtype, near: float, length: int) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, heads, length, 16, dtype=dtype).requires_grad_() for heads in (4, 2, 2))
    given = torch.randn(3, 4, length, 16, dtype=dtype)
    assert suits(query, 0.0) and not suits(query, 0.1)
    found = causal(query, key, value, 0.3)
    gradients = torch.autograd.grad(found, (query, key, value), given)
    expected = functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=0.3, enable_gqa=True)
    torch.testing.assert_close(found, expected, atol=near, rtol=near)
    for one, other in zip(gradients, torch.autograd.grad(expected, (query, key, value), given), strict=True):
        torch.testing.assert_close(one, other, atol=3 * near, rtol=near)
