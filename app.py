"""The dashboard's server, which `streamlit run app.py` and `fnet dashboard` start; its first page is `home.py`."""

import streamlit as st

from dashboard.serving import start

start.check()
app = st.App("home.py", middleware=start.middleware(), routes=start.routes(), lifespan=start.lifespan)
