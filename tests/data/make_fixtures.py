#!/usr/bin/env python3
"""Writes the .npy and .npz files in fixtures/ that the tests read: what NumPy itself writes.

usage: make_fixtures.py   (needs numpy; the files are checked in)
"""
import os
import numpy as np

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures"))
a = np.arange(24).reshape(2, 3, 4)
arrays = {
    "b1": a % 3 == 0, "u1": a.astype("u1"), "i1": (a - 12).astype("i1"), "u2": (a * 2000).astype("u2"),
    "i2": (a - 12).astype("i2"), "u4": a.astype("u4"), "i4": (a - 12).astype("i4"), "u8": a.astype("u8"),
    "i8": (a - 12).astype("i8"), "f2": (a / 8).astype("f2"), "f4": (a / 8).astype("f4"), "f8": a / 8,
    "c8": (a + 1j * a).astype("c8"), "c16": a - 2j * a,
    "big_f4": (a / 8).astype(">f4"), "big_c8": (a + 1j * a).astype(">c8"), "big_i2": (a - 12).astype(">i2"),
    "fortran_f4": np.asfortranarray((a / 8).astype("f4")), "fortran_big_i8": np.asfortranarray((a - 12).astype(">i8")),
    "U": np.array(["cat", "", "größe", "\U0001f600"]), "big_U": np.array(["ab", "ü"]).astype(">U2"),
    "S": np.array([b"cat", b"", b"\xff\x00x"]), "scalar": np.float32(1.5), "empty": np.zeros((0, 3), "f4"),
}
np.savez("types.npz", **arrays)
np.savez_compressed("compressed.npz", **arrays)
np.save("matrix.npy", (a / 8).astype("f4"))
np.save("fortran.npy", np.asfortranarray((a / 8).astype("f4")))
np.savez("objects.npz", x=np.array([1, "a", None], dtype=object), y=np.arange(3))
np.savez("structured.npz", x=np.zeros(2, dtype=[("a", "f4"), ("b", "i4")]))
