// Includes HONE_TILES, a source of tiles, once for each instruction set: in the namespaces for_avx2 and for_avx512, where `lanes`,
// Vector and the functions on it are that set's. For a source file, within its unnamed namespace; behind it HONE_TILES is gone.

namespace for_avx2 {
using namespace avx2;
#define HONE_TILE HONE_AVX2
#define HONE_TILE_INLINE HONE_AVX2_INLINE
#include "exec/onednn/tile_products.h"
#include HONE_TILES
#undef HONE_TILE
#undef HONE_TILE_INLINE
}  // namespace for_avx2

namespace for_avx512 {
using namespace avx512;
#define HONE_TILE HONE_AVX512
#define HONE_TILE_INLINE HONE_AVX512_INLINE
#include "exec/onednn/tile_products.h"
#include HONE_TILES
#undef HONE_TILE
#undef HONE_TILE_INLINE
}  // namespace for_avx512

#undef HONE_TILES
