#include "exec/onednn/integer_primitive.h"

#include <fmt/format.h>

#include "exec/onednn/channels_last.h"

namespace hone::exec::onednn {
namespace {

using D = dnnl::memory::data_type;

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr result;
  result.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return result;
}

}  // namespace

template <typename Primitive>
void IntegerPrimitive::take(const typename Primitive::primitive_desc& desc) {
  const std::string_view name = desc.impl_info_str();
  if (name.starts_with("ref")) return;
  weights_ = desc.weights_desc();
  scratchpad_ = desc.scratchpad_desc();
  name_ = fmt::format("integer:{}", name);
  call_ = Call(Primitive(desc));
}

IntegerPrimitive IntegerPrimitive::product(std::int64_t rows, std::int64_t depth, std::int64_t columns) {
  IntegerPrimitive result;
  const std::array<std::int64_t, 2> a{rows, depth}, b{depth, columns}, c{rows, columns};
  result.codes_ = row_major(a, D::u8);
  result.plain_ = row_major(b, D::s8);
  result.sums_ = row_major(c, D::s32);
  const Workers workers =
      Workers::for_operations(2.0 * static_cast<double>(rows) * static_cast<double>(depth * columns));
  try {
    result.take<dnnl::matmul>(
        dnnl::matmul::primitive_desc(engine(), result.codes_, any_layout(b, D::s8), result.sums_, attributes()));
  } catch (const dnnl::error&) {  // not for these sizes
  }
  return result;
}

IntegerPrimitive IntegerPrimitive::convolution(const Window& w) {
  IntegerPrimitive result;
  std::vector<std::int64_t> weights = {w.out_channels / w.group, w.channels / w.group, w.kernel_h, w.kernel_w};
  if (w.group > 1) weights.insert(weights.begin(), w.group);
  const std::array<std::int64_t, 4> in{1, w.channels, w.height, w.width},
      out{1, w.out_channels, w.out_height, w.out_width};
  result.codes_ = channels_last(in, D::u8);
  result.plain_ = row_major(weights, D::s8);
  result.sums_ = channels_last(out, D::s32);
  const std::int64_t depth = w.channels / w.group * w.kernel_h * w.kernel_w;
  const double products = static_cast<double>(w.out_height * w.out_width * w.out_channels) * static_cast<double>(depth);
  const Workers workers = Workers::for_operations(2 * products);
  try {
    result.take<dnnl::convolution_forward>(dnnl::convolution_forward::primitive_desc(
        engine(), dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, result.codes_,
        any_layout(weights, D::s8), result.sums_, {w.step_h, w.step_w}, {w.apart_h - 1, w.apart_w - 1}, {0, 0}, {0, 0},
        attributes()));
  } catch (const dnnl::error&) {  // not for these sizes
  }
  return result;
}

void IntegerPrimitive::run(const std::uint8_t* codes, const void* weights, std::byte* scratch, std::int32_t* sums) {
  call_.bind(DNNL_ARG_SRC, codes_, codes);
  call_.bind(DNNL_ARG_WEIGHTS, weights_, weights);
  call_.bind(DNNL_ARG_DST, sums_, sums);
  if (scratch_bytes() > 0) call_.bind(DNNL_ARG_SCRATCHPAD, scratchpad_, scratch);
  call_.run();
}

}  // namespace hone::exec::onednn
