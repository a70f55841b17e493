"""What the hub says of a data set, and what is said when it does not answer.

In: a name. Out: a check. Fetches nothing.
"""

from flame_ray.doctor.checks import Check, Level

HUB_S = 5.0  # how long the hub may take


def find_data_set(name: str, source: str) -> Check:
    from huggingface_hub import HfApi

    expected = f"the data set {source}"
    try:
        HfApi().dataset_info(source, timeout=HUB_S)
    except Exception as error:  # of whichever HTTP library this version of the hub's client uses
        return unreached(name, source, error)
    return Check(Level.OK, name, expected, "on the hub; its columns are checked when the run loads it")


def unreached(setting: str, name: str, error: Exception) -> Check:
    found = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    fix = "check the id, HF_TOKEN and the network, or give a local folder or file"
    return Check(Level.PROBLEM, setting, f"{name} on the hub or in its cache", found, fix)
