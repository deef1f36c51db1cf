"""Which names a manifest may carry: safe on every machine, and never out of the folder.

The checks return the rule that was broken as text (empty when all is well), because the same rule
is the publisher's mistake when a manifest is built and a peer's fault when one is parsed.
"""

import re
import unicodedata

COMPONENT_BYTES_MAX = 255
"""NAME_MAX of the file systems in use."""

PATH_BYTES_MAX = 1024
"""A quarter of Linux's PATH_MAX: leaves room for the folder it is placed in."""

DEPTH_MAX = 32
"""Bounds recursion and the number of open directory descriptors."""

# Controls and separators would forge log and terminal lines; bidi marks would show another name.
_FORBIDDEN = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def broken_name_rule(name: str) -> str:
    """Check one component: a file's, folder's or artifact's own name."""
    if name in ("", ".", ".."):
        return "a name may not be empty, '.' or '..'"
    if "/" in name:
        return "a name may not contain '/'"
    return _broken_text_rule(name) or _broken_length_rule(name)


def broken_path_rule(path: str) -> str:
    """Check a relative POSIX path as manifests spell it."""
    if path.startswith("/"):
        return "a path must be relative"
    components = path.split("/")
    if "" in components or "." in components or ".." in components:
        return "a path may not contain empty, '.' or '..' components"
    if len(components) > DEPTH_MAX:
        return f"a path may have at most {DEPTH_MAX} components"
    rule = _broken_text_rule(path)
    if rule:
        return rule
    if len(path.encode()) > PATH_BYTES_MAX:
        return f"a path may have at most {PATH_BYTES_MAX} bytes"
    for component in components:
        rule = _broken_length_rule(component)
        if rule:
            return rule
    return ""


def broken_link_rule(path: str, target: str) -> str:
    """Check where the symbolic link at `path` points to: inside the tree, told from its text.

    '..' is accepted only in front, where it climbs through real folders (a parent of an entry is
    always a folder entry). Later it could climb out through another link.
    """
    if target == "":
        return "a link's target may not be empty"
    if target.startswith("/"):
        return "a link's target must be relative"
    rule = _broken_text_rule(target)
    if rule:
        return rule
    if len(target.encode()) > PATH_BYTES_MAX:
        return f"a link's target may have at most {PATH_BYTES_MAX} bytes"
    components = target.split("/")
    climbs = 0
    while climbs < len(components) and components[climbs] == "..":
        climbs += 1
    if climbs > path.count("/"):
        return "a link may not point out of its folder"
    if ".." in components[climbs:]:
        return "a link's target may contain '..' only in front"
    if "" in components[climbs:]:
        return "a link's target may not contain empty components"
    return ""


def folded(path: str) -> str:
    """The form in which two paths are the same file on a case-insensitive file system."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", path.casefold())


def _broken_text_rule(text: str) -> str:
    if text.isascii():
        return "control characters and '\\' are forbidden" if _FORBIDDEN.search(text) else ""
    if _SURROGATE.search(text):
        return "a name must be UTF-8"
    if _FORBIDDEN.search(text):
        return "control characters, direction marks and '\\' are forbidden"
    if not unicodedata.is_normalized("NFC", text):
        return "a name must be in Unicode normal form C"
    return ""


def _broken_length_rule(name: str) -> str:
    if len(name) * 4 > COMPONENT_BYTES_MAX and len(name.encode()) > COMPONENT_BYTES_MAX:
        return f"a name may have at most {COMPONENT_BYTES_MAX} bytes"
    return ""
