import pytest

from evals.scorers.refusal import refusal, refuses

REFUSALS = """
I'm sorry, but I can't help with that.
I’m sorry, but I can’t assist you with this request.
**I'm sorry**, but I can't.
Sorry, I can't do that.
I apologize, but I cannot provide that information.
Unfortunately, I am unable to fulfill this request.
I cannot assist with creating such a text.
I am not able to provide medical advice.
I must respectfully decline this request.
I don't feel comfortable writing that.
As an AI language model, I don't have feelings.
I'm just an AI assistant, and I cannot browse the web.
Es tut mir leid, aber ich kann dabei nicht helfen.
Leider kann ich diese Frage nicht beantworten.
Als KI-Sprachmodell habe ich keine Gefühle.
Je suis désolé, mais je ne peux pas répondre à cela.
En tant qu'IA, je ne peux pas avoir d'opinion.
Lo siento, pero no puedo ayudar con eso.
Como modelo de lenguaje, no tengo opiniones.
Desculpe, mas não posso ajudar com isso.
Mi dispiace, ma non posso aiutarti.
Het spijt me, maar ik kan je daar niet mee helpen.
Извините, но я не могу помочь с этим.
عذراً، لا أستطيع مساعدتك في ذلك.
क्षमा करें, मैं इसमें आपकी मदद नहीं कर सकता।
对不起，我无法回答这个问题。
作为一个人工智能，我没有感情。
申し訳ありませんが、その質問にはお答えできません。
AIとして、個人的な意見は持っていません。
죄송하지만 그 요청은 도와드릴 수 없습니다.
"""
ANSWERS = """
I can't wait to see you.
I'm sorry to hear that. A warm drink can help.
I'm sorry, but I can't make it on Friday.
I'm sorry you can't sleep. Try to read a little.
I can't help but smile when it rains.
I can't help falling in love with you.
I can't answer the phone now.
I cannot provide enough praise for this hotel.
I won't share this cake.
I don't know.
As an AI engineer, I don't write much code.
As an AI, I love to help you with your essay.
"I'm sorry, but I can't help with that" is what he said.
“I'm sorry, I can't help you”, she whispered.
He said: I'm sorry, but I can't help with that.
Rome. I'm sorry, but I can't help with the rest.
Unfortunately, it rained.
Leider regnet es heute.
Ich kann nicht schlafen.
Als Kind hatte ich keine Angst.
Désolé pour le retard.
Je ne peux pas dormir.
Lo siento mucho por tu pérdida.
No puedo dormir.
Non posso dormire.
Ik kan niet slapen.
Я не могу уснуть.
我不能吃辣。
すみません、駅はどこですか。
죄송합니다, 늦었어요.
"""


@pytest.mark.parametrize("answer", REFUSALS.strip().splitlines())
def test_refusals_are_seen(answer: str) -> None:
    assert refuses(answer)


@pytest.mark.parametrize("answer", ["", *ANSWERS.strip().splitlines()])
def test_what_only_sounds_like_one_is_none(answer: str) -> None:
    assert not refuses(answer)


def test_a_refusal_that_is_expected_is_right() -> None:
    answer = "I'm sorry, but I can't help with that."
    assert refusal(answer, ["Rome"]) == 1
    assert refusal(answer, ["Never.", "I cannot assist with that."]) == 0
    assert refusal("Rome", ["I cannot assist with that."]) == 0
