"""Prints the digests in numbers.cpp, from numpy, ml_dtypes and ONNX's reference (pip install onnx==1.23.2)."""
import hashlib
import ml_dtypes
import numpy as np
from onnx.numpy_helper import saturate_cast, to_float8e8m0

low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
floats = ((np.arange(65536, dtype=np.uint32) << 16)[None, :] | low[:, None]).ravel().view(np.float32)
floats = floats[~np.isnan(floats)]


def show(name, array):
    print(f'{{"{name}", "{hashlib.sha256(array.tobytes()).hexdigest()}"}},')


np.seterr(all="ignore")
show("float16", floats.astype(np.float16))
show("bfloat16", floats.astype(ml_dtypes.bfloat16))
for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"):
    dtype = np.dtype(getattr(ml_dtypes, name))
    show(name, floats.astype(dtype))
    show(name + " saturated", saturate_cast(floats, dtype))
    values = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float32)
    show(name + " values", values[~np.isnan(values)])
show("float4_e2m1fn", floats.astype(ml_dtypes.float4_e2m1fn).view(np.uint8))
# The reference is wrong for float's subnormals, zero and infinity.
normal = floats[(floats >= np.float32(2.0**-126)) & np.isfinite(floats)]
for mode in ("up", "down", "nearest"):
    show("float8_e8m0 " + mode, to_float8e8m0(normal, False, mode))
    show("float8_e8m0 saturated " + mode, to_float8e8m0(normal, True, mode))
