"""What is deployed. app.py -> routes -> logic -> stores; nothing here imports infra."""
