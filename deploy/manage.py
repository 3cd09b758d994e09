"""The application of an image under the name that Django and older Flask projects give it: `FLASK_APP=manage.py`.

An image holds one component, so there is one `app.py` to find.
"""

from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
[PATH] = [*HERE.glob("gateway/app.py"), *HERE.glob("services/*/app.py")]

create_app = import_module(".".join(PATH.relative_to(HERE).parent.parts)).create_app
