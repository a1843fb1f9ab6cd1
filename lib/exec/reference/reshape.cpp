// The same elements under another shape: Reshape Flatten Squeeze Unsqueeze; and the shape itself: Shape Size.
#include "exec/reference/elements.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

void reshape_to(Context& context, const ir::Dims& target, bool allow_zero) {
  const Array& in = context.raw_input(0);
  ir::Dims dims = target;
  std::size_t inferred = dims.size();
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1) {
      if (inferred < dims.size()) bad_input("two dimensions of {} are -1", ir::text(target));
      inferred = i;
    } else if (dims[i] < 0) {
      bad_input("a negative dimension in {}", ir::text(target));
    } else if (dims[i] == 0 && !allow_zero) {
      if (i >= in.rank())
        bad_input("dimension {} of {} is copied from shape {}", i, ir::text(target), ir::text(in.dims));
      dims[i] = in.dims[i];
    }
  }
  const std::int64_t count = in.count();
  if (inferred < dims.size()) {
    dims[inferred] = 1;
    const std::int64_t others = product(dims);
    if (others == 0 ? count != 0 : count % others != 0) {
      bad_input("shape {} does not fit {} elements", ir::text(target), count);
    }
    dims[inferred] = others == 0 ? 0 : count / others;
  }
  if (product(dims) != count) bad_input("shape {} for a tensor of shape {}", ir::text(target), ir::text(in.dims));
  context.forward(0, 0, dims);
}
void reshape_1(Context& context) { reshape_to(context, required_ints(context.node(), "shape"), false); }
void reshape(Context& context) {
  reshape_to(context, read_ints(context.input(1)), flag(context.node(), "allowzero", false));
}

void flatten(Context& context) {
  const Array& in = context.raw_input(0);
  const std::int64_t axis = context.node().int_or("axis", 1);
  const auto rank = static_cast<std::int64_t>(in.rank());
  if (axis < -rank || axis > rank) bad_input("axis {} of a tensor of rank {}", axis, rank);
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  const ir::Dims dims = {product(in.dims, 0, at), product(in.dims, at, in.rank())};
  context.forward(0, 0, dims);
}

void squeeze_axes(Context& context, const ir::Dims* axes) {
  const Array& in = context.raw_input(0);
  std::vector<bool> drop(in.rank());
  if (axes) {
    for (const std::size_t axis : checked_axes(*axes, in.rank())) {
      if (in.dims[axis] != 1) bad_input("axis {} of shape {} is not 1", axis, ir::text(in.dims));
      drop[axis] = true;
    }
  } else {
    for (std::size_t i = 0; i < in.rank(); ++i) drop[i] = in.dims[i] == 1;
  }
  ir::Dims dims;
  for (std::size_t i = 0; i < in.rank(); ++i) {
    if (!drop[i]) dims.push_back(in.dims[i]);
  }
  context.forward(0, 0, dims);
}
void squeeze_1(Context& context) {
  const ir::Dims axes = context.node().ints_or("axes", {});
  squeeze_axes(context, context.node().has_attribute("axes") ? &axes : nullptr);
}
void squeeze(Context& context) {
  if (!context.has_input(1)) return squeeze_axes(context, nullptr);
  const ir::Dims axes = read_ints(context.input(1));
  squeeze_axes(context, &axes);
}

void unsqueeze_axes(Context& context, const ir::Dims& axes) {
  const Array& in = context.raw_input(0);
  const std::size_t rank = in.rank() + axes.size();
  std::vector<bool> added(rank);
  for (const std::size_t axis : checked_axes(axes, rank)) added[axis] = true;
  ir::Dims dims(rank, 1);
  for (std::size_t i = 0, from = 0; i < rank; ++i) {
    if (!added[i]) dims[i] = in.dims[from++];
  }
  context.forward(0, 0, dims);
}
void unsqueeze_1(Context& context) { unsqueeze_axes(context, required_ints(context.node(), "axes")); }
void unsqueeze(Context& context) { unsqueeze_axes(context, read_ints(context.input(1))); }

void shape(Context& context) {
  const ir::Dims& dims = context.raw_input(0).dims;
  const auto rank = static_cast<std::int64_t>(dims.size());
  const auto bound = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t begin = bound(context.node().int_or("start", 0));
  const std::int64_t end = std::max(begin, bound(context.node().int_or("end", rank)));
  Array& out = context.output(0, ir::ElementType::int64, {end - begin});
  std::copy(dims.begin() + begin, dims.begin() + end, out.as<std::int64_t>());
}
void size(Context& context) {
  const std::int64_t count = product(context.raw_input(0).dims);
  context.output(0, ir::ElementType::int64, {}).as<std::int64_t>()[0] = count;
}

}  // namespace

std::span<const KernelEntry> reshape_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Reshape", 1, stateless<reshape_1>, 4},
      {"Reshape", 5, stateless<reshape>},
      {"Flatten", 1, stateless<flatten>},
      {"Squeeze", 1, stateless<squeeze_1>, 12},
      {"Squeeze", 13, stateless<squeeze>},
      {"Unsqueeze", 1, stateless<unsqueeze_1>, 12},
      {"Unsqueeze", 13, stateless<unsqueeze>},
      {"Shape", 1, stateless<shape>},
      {"Size", 1, stateless<size>},
  };
  return entries;
}

}  // namespace hone::exec
