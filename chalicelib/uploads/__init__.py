"""How bytes come in: by form, straight to storage, by Uppy's Companion contract."""
