"""The app's page: four steps that read what lies on disk. Only this package and app.py know gradio."""
