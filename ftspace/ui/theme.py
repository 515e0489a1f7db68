"""How the page looks: gradio's default theme in system fonts, so that nothing is fetched; and its CSS and scripts."""

from gradio.themes import Default
from gradio.themes.utils import colors, sizes

from ftspace.settings import ROOT

CSS = [ROOT / "ftspace/report/look.css", *sorted((ROOT / "ftspace/ui/css").glob("*.css"))]
SCRIPTS = sorted((ROOT / "ftspace/ui/js").glob("*.js"))

THEME = Default(
    primary_hue=colors.indigo,
    secondary_hue=colors.indigo,
    neutral_hue=colors.slate,
    radius_size=sizes.radius_lg,
    text_size=sizes.text_md,
    font=["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace"],
).set(
    body_background_fill="*neutral_50",
    body_background_fill_dark="*neutral_950",
    # The default's grey for hints is 2.5 to 1 on white; these are 4.8 to 1 and more.
    body_text_color_subdued="*neutral_500",
    body_text_color_subdued_dark="*neutral_400",
    block_info_text_color="*neutral_500",
    block_info_text_color_dark="*neutral_400",
    checkbox_border_color_dark="*neutral_500",
    block_shadow="none",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_500",
    button_primary_text_color="white",
    # White on the default's red is 3.8 to 1, on these 4.8 and more.
    button_cancel_background_fill=colors.red.c600,
    button_cancel_background_fill_hover=colors.red.c700,
)
