// Pad: more elements around a tensor, or, for negative amounts, fewer; modes constant, reflect, edge and wrap. And
// CenterCropPad.
#include "exec/reference/list.h"
#include "exec/reference/tables.h"

namespace hone::exec {
namespace {

ir::Dims sources(const std::string& mode, std::int64_t dim, std::int64_t before, std::int64_t length) {
  ir::Dims result(static_cast<std::size_t>(length));
  const std::int64_t period = mode == "reflect" ? std::max<std::int64_t>(1, 2 * (dim - 1)) : dim;
  for (std::int64_t i = 0; i < length; ++i) {
    std::int64_t at = i - before;
    if (at < 0 || at >= dim) {
      if (mode == "constant") {
        at = -1;
      } else if (dim == 0) {
        bad_input("mode {} for an empty dimension", mode);
      } else if (mode == "edge") {
        at = at < 0 ? 0 : dim - 1;
      } else {
        at = (at % period + period) % period;
        if (at >= dim) at = period - at;
      }
    }
    result[static_cast<std::size_t>(i)] = at;
  }
  return result;
}

// `value`: one element of the input's type; null for zeros.
void pad_with(Context& context, const ir::Dims& pads, const Array* value) {
  const Array& in = context.input(0);
  const std::string mode = context.node().string_or("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap") bad_input("mode is {}", quote(mode));
  ir::Dims dims(in.rank());
  for (std::size_t d = 0; d < in.rank(); ++d) {
    dims[d] = size_sum(size_sum(in.dims[d], pads[d]), pads[d + in.rank()]);
    if (dims[d] < 0) bad_input("pads {} leave less than nothing of shape {}", ir::text(pads), ir::text(in.dims));
  }
  if (dims == in.dims && std::all_of(pads.begin(), pads.end(), [](std::int64_t pad) { return pad == 0; })) {
    return context.forward(0, 0, dims);
  }
  Array& out = context.output(0, in.type, dims);
  if (product(dims) == 0) return;
  std::vector<ir::Dims> from;
  for (std::size_t d = 0; d < in.rank(); ++d) from.push_back(sources(mode, in.dims[d], pads[d], dims[d]));
  if (in.rank() == 0) {
    return move_elements(context, in, out, [](const auto* source, auto* to) { *to = *source; });
  }
  std::uint8_t code = 0;
  if (value && ir::is_sub_byte(in.type)) unpack(*value, &code);
  move_elements(context, in, out, [&]<typename T>(const T* source, T* to) {
    T constant{};
    if constexpr (std::is_same_v<T, std::uint8_t>) constant = code;
    if (value && !ir::is_sub_byte(in.type)) constant = moved<T>(*value)[0];
    fill_from<T>(source, in.dims, to, from, constant);
  });
}

// A constant of an attribute, as one element of the input's type.
void pad_float(Context& context, const ir::Dims& pads) {
  const Array& in = context.input(0);
  if (pads.size() != 2 * in.rank()) bad_input("{} pads for a tensor of rank {}", pads.size(), in.rank());
  const float number = context.node().float_or("value", 0);
  std::byte memory[16] = {};
  Array value;
  value.type = in.type;
  value.data = memory;
  if (number == 0) return pad_with(context, pads, nullptr);
  if (is_narrow_float(in.type)) {
    narrow(&number, value);
  } else if (!dispatch_real(in.type, [&]<typename T>() { value.as<T>()[0] = static_cast<T>(number); })) {
    unsupported_type(context, in.type);
  }
  pad_with(context, pads, &value);
}
void pad_1(Context& context) { pad_float(context, required_ints(context.node(), "paddings")); }
void pad_2(Context& context) { pad_float(context, required_ints(context.node(), "pads")); }
void pad(Context& context) {
  const Array& in = context.input(0);
  const Array& given = context.input(1);
  Array flat = given;  // [1, 2 * rank] is allowed, too
  if (given.rank() == 2 && given.dims[0] == 1) flat.dims = {given.dims[1]};
  ir::Dims pads = read_ints(flat);
  if (context.has_input(3)) {
    const std::vector<std::size_t> axes = checked_axes(read_ints(context.input(3)), in.rank());
    if (pads.size() != 2 * axes.size()) bad_input("{} pads for {} axes", pads.size(), axes.size());
    ir::Dims all(2 * in.rank());
    for (std::size_t i = 0; i < axes.size(); ++i) {
      all[axes[i]] = pads[i];
      all[axes[i] + in.rank()] = pads[i + axes.size()];
    }
    pads = all;
  }
  if (pads.size() != 2 * in.rank()) bad_input("{} pads for a tensor of rank {}", pads.size(), in.rank());
  const Array* value = nullptr;
  if (context.has_input(2)) {
    value = &context.input(2);
    require_type(*value, in.type, "the constant");
    if (value->count() != 1) bad_input("the constant has {} elements", value->count());
  }
  pad_with(context, pads, value);
}

// The middle of each dimension, or zeros on both sides; what is odd goes behind.
void center_crop_pad(Context& context) {
  const Array& in = context.input(0);
  const ir::Dims shape = read_ints(context.input(1));
  ir::Dims given = context.node().ints_or("axes", {});
  if (!context.node().has_attribute("axes")) {
    for (std::size_t d = 0; d < in.rank(); ++d) given.push_back(static_cast<std::int64_t>(d));
  }
  const std::vector<std::size_t> axes = checked_axes(given, in.rank());
  if (shape.size() != axes.size()) bad_input("{} lengths for {} dimensions", shape.size(), axes.size());
  ir::Dims dims = in.dims, before(in.rank());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (shape[i] < 0) bad_input("a length of {}", shape[i]);
    const std::int64_t dim = in.dims[axes[i]];
    dims[axes[i]] = shape[i];
    before[axes[i]] = shape[i] > dim ? (shape[i] - dim) / 2 : -((dim - shape[i]) / 2);
  }
  if (dims == in.dims) return context.forward(0, 0, dims);
  Array& out = context.output(0, in.type, dims);
  if (product(dims) == 0) return;
  std::vector<ir::Dims> from;
  for (std::size_t d = 0; d < in.rank(); ++d) from.push_back(sources("constant", in.dims[d], before[d], dims[d]));
  move_elements(context, in, out,
                [&]<typename T>(const T* source, T* to) { fill_from<T>(source, in.dims, to, from, T{}); });
}

}  // namespace

std::span<const KernelEntry> pad_kernels() {
  static constexpr KernelEntry entries[] = {
      {"CenterCropPad", 18, stateless<center_crop_pad>},
      {"Pad", 1, stateless<pad_1>, 1},
      {"Pad", 2, stateless<pad_2>, 10},
      {"Pad", 11, stateless<pad>},
  };
  return entries;
}

}  // namespace hone::exec
