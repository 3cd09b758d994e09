"""The programs that ours are measured beside, in an environment of their own that their pins fill."""

import hashlib
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = ROOT / ".tools" / "peers"
UV = ROOT / ".tools" / "bin" / "uv"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def python() -> Path:
    """The interpreter of the peers. Its environment is made anew when the pins have changed (needs the network)."""
    interpreter = ENVIRONMENT / "bin" / "python"
    stamp = ENVIRONMENT / "requirements.sha256"
    pins = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == pins:
        return interpreter
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run([UV, "venv", "--quiet", "--clear", ENVIRONMENT], env=environment, check=True)
    words = [UV, "pip", "install", "--quiet", "--python", interpreter, "-r", REQUIREMENTS]
    subprocess.run(words, env=environment, check=True)
    stamp.write_text(pins)
    return interpreter
