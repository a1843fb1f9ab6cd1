#include "exec/onednn/eights.h"

#include "exec/onednn/avx2.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {

Desc channel_blocks(std::span<const std::int64_t> dims, std::int64_t block) {
  using Tag = dnnl::memory::format_tag;
  const Tag tag = block == 16        ? (dims.size() == 3   ? Tag::nCw16c
                                        : dims.size() == 4 ? Tag::nChw16c
                                                           : Tag::nCdhw16c)
                  : dims.size() == 3 ? Tag::nCw8c
                  : dims.size() == 4 ? Tag::nChw8c
                                     : Tag::nCdhw8c;
  return Desc(dnnl::memory::dims(dims.begin(), dims.end()), dnnl::memory::data_type::f32, tag);
}

std::optional<Eights> as_eights(const Desc& desc) {
  const auto dims = desc.get_dims();
  if (!has_avx2() || desc.get_data_type() != dnnl::memory::data_type::f32 || dims.size() < 3) return std::nullopt;
  if (desc.get_inner_nblks() != 1 || desc.get_inner_blks()[0] != 8 || desc.get_inner_idxs()[0] != 1)
    return std::nullopt;
  if (desc.get_padded_dims() != dims) return std::nullopt;
  const auto strides = desc.get_strides();
  std::int64_t places = 1;
  for (std::size_t d = dims.size(); d-- > 2; places *= dims[d]) {
    if (dims[d] > 1 && strides[d] != places * 8) return std::nullopt;
  }
  const std::int64_t block = places * 8, blocks = dims[1] / 8;
  if ((blocks > 1 && strides[1] != block) || (dims[0] > 1 && strides[0] != block * blocks)) return std::nullopt;
  return Eights{dims[0] * blocks, places};
}

#ifdef HONE_HAS_AVX2
namespace {

using namespace avx2;

// Planes of 8 channels beside each other, as 8 planes; and back.
HONE_AVX2 void separate(const float* from, std::int64_t places, float* to) {
  std::int64_t i = 0;
  for (; i + lanes <= places; i += lanes) {
    Vector rows[lanes];
#pragma GCC unroll 8
    for (int r = 0; r < lanes; ++r) rows[r] = load(from + (i + r) * lanes);
    transpose(rows);
#pragma GCC unroll 8
    for (int r = 0; r < lanes; ++r) store(to + r * places + i, rows[r]);
  }
  for (; i < places; ++i) {
    for (std::int64_t c = 0; c < lanes; ++c) to[c * places + i] = from[i * lanes + c];
  }
}
HONE_AVX2 void join(const float* from, std::int64_t places, float* to) {
  std::int64_t i = 0;
  for (; i + lanes <= places; i += lanes) {
    Vector rows[lanes];
#pragma GCC unroll 8
    for (int r = 0; r < lanes; ++r) rows[r] = load(from + r * places + i);
    transpose(rows);
#pragma GCC unroll 8
    for (int r = 0; r < lanes; ++r) store(to + (i + r) * lanes, rows[r]);
  }
  for (; i < places; ++i) {
    for (std::int64_t c = 0; c < lanes; ++c) to[i * lanes + c] = from[c * places + i];
  }
}

template <typename Body>
void each_block(const Eights& shape, const Body& body) {
  const std::int64_t size = shape.places * lanes;
  const std::int64_t parts = worthwhile_threads(static_cast<double>(shape.blocks * size) * 0.5e-9);
  parallel_for(shape.blocks, (shape.blocks - 1) / parts + 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) body(b * size);
  });
}

}  // namespace

void pack_eights(const Eights& shape, const float* from, float* to) {
  each_block(shape, [&](std::int64_t at) { join(from + at, shape.places, to + at); });
}
void unpack_eights(const Eights& shape, const float* from, float* to) {
  each_block(shape, [&](std::int64_t at) { separate(from + at, shape.places, to + at); });
}
#else
void pack_eights(const Eights&, const float*, float*) {}
void unpack_eights(const Eights&, const float*, float*) {}
#endif

}  // namespace hone::exec::onednn
