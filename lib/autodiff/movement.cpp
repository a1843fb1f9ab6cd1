// Operators that move elements: what they read from a place, the gradient goes back to.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

void identity(Backward& back) {
  back.give(0, [&] { return back.gradient(); });
}

// Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the same order.
void reshape(Backward& back) {
  back.give(0, [&] { return back.reshape_like(back.gradient(), *back.input(0)); });
}

void cast(Backward& back) {
  back.give(0, [&] {
    const ir::ElementType type = back.input(0)->element_type();
    return back.add("Cast", {back.gradient()}, attributes("to", static_cast<std::int64_t>(type)), type);
  });
}

void transpose(Backward& back) {
  back.give(0, [&] {
    const std::vector<std::int64_t> order = back.node().ints_or("perm", {});
    std::vector<std::int64_t> inverse(order.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      inverse.at(static_cast<std::size_t>(order[i])) = static_cast<std::int64_t>(i);
    if (order.empty()) return back.add("Transpose", {back.gradient()});  // all dimensions reversed
    return back.add("Transpose", {back.gradient()}, attributes("perm", std::move(inverse)));
  });
}

void concat(Backward& back) {
  const std::size_t count = back.node().input_count();
  std::vector<ir::Value*> inputs{back.gradient()};
  std::vector<bool> wanted(count);
  for (std::size_t i = 0; i < count; ++i) {
    inputs.push_back(back.shape(*back.input(i)));
    wanted[i] = back.wants(i);
  }
  const auto parts =
      back.own("ConcatGradient", std::move(inputs), attributes("axis", back.node().int_or("axis", 1)), wanted);
  for (std::size_t i = 0; i < count; ++i) back.give(i, [&] { return parts[i]; });
}

void split(Backward& back) {
  back.give(0, [&] {
    std::vector<ir::Value*> parts;
    for (std::size_t i = 0; i < back.node().output_count(); ++i) {
      ir::Value* part = back.gradient(i);
      if (!part) part = back.zeros_like(*back.need_output(i, ir::Type::tensor(back.input(0)->element_type())));
      parts.push_back(part);
    }
    return back.add("Concat", std::move(parts), attributes("axis", back.node().int_or("axis", 0)));
  });
}

// The operator's other inputs (starts, pads, indices) from `first` on, behind the gradient and the shape of its data.
std::vector<ir::Value*> with_arguments(Backward& back, std::size_t first = 1) {
  std::vector<ir::Value*> inputs{back.gradient(), back.shape(*back.input(0))};
  for (std::size_t i = first; i < back.node().input_count(); ++i) inputs.push_back(back.input(i));
  return inputs;
}

void slice(Backward& back) {
  back.give(0, [&] { return back.own("SliceGradient", with_arguments(back), back.same_attributes()); });
}

void pad(Backward& back) {
  back.refuse(2, "the padding value");
  back.give(0, [&] {
    std::vector<ir::Value*> inputs{back.gradient(), back.shape(*back.input(0)), back.input(1), back.input(3)};
    return back.own("PadGradient", std::move(inputs), back.same_attributes());
  });
}

void gather(Backward& back) {
  back.give(0,
            [&] { return back.own(back.node().op_type() + "Gradient", with_arguments(back), back.same_attributes()); });
}

// Elements that were overwritten got nothing from the data.
void scatter_elements(Backward& back) {
  if (back.node().string_or("reduction", "none") != "none") back.refuse("a reduction");
  ir::Value* dy = back.gradient();
  ir::Value* indices = back.input(1);
  const std::int64_t axis = back.node().int_or("axis", 0);
  back.give(0, [&] {
    return back.add("ScatterElements", {dy, indices, back.zeros_like(*back.input(2))}, attributes("axis", axis));
  });
  back.give(2, [&] { return back.add("GatherElements", {dy, indices}, attributes("axis", axis)); });
}

void scatter_nd(Backward& back) {
  if (back.node().string_or("reduction", "none") != "none") back.refuse("a reduction");
  ir::Value* dy = back.gradient();
  ir::Value* indices = back.input(1);
  back.give(0, [&] { return back.add("ScatterND", {dy, indices, back.zeros_like(*back.input(2))}); });
  back.give(2, [&] { return back.add("GatherND", {dy, indices}); });
}

void tile(Backward& back) {
  back.give(0, [&] { return back.own("TileGradient", {back.gradient(), back.shape(*back.input(0))}); });
}

void trilu(Backward& back) {
  back.give(0, [&] {
    std::vector<ir::Value*> inputs{back.gradient()};
    if (back.input(1)) inputs.push_back(back.input(1));
    return back.add("Trilu", std::move(inputs), back.same_attributes());
  });
}

void space_to_depth(Backward& back) {
  back.give(0, [&] {
    return back.add("DepthToSpace", {back.gradient()}, attributes("blocksize", back.node().int_or("blocksize", 1)));
  });
}

void depth_to_space(Backward& back) {
  if (back.node().string_or("mode", "DCR") != "DCR") {
    back.give(0, [&] {
      return back.own("SpaceToColumnDepth", {back.gradient()},
                      attributes("blocksize", back.node().int_or("blocksize", 1)));
    });
    return;
  }
  back.give(0, [&] {
    return back.add("SpaceToDepth", {back.gradient()}, attributes("blocksize", back.node().int_or("blocksize", 1)));
  });
}

// The largest k of an axis, and where they were.
void top_k(Backward& back) {
  ir::Value* indices = back.need_output(1, ir::Type::tensor(ir::ElementType::int64, back.output()->shape()));
  back.give(0, [&] {
    return back.own("GatherElementsGradient", {back.gradient(), back.shape(*back.input(0)), indices},
                    attributes("axis", back.node().int_or("axis", -1)));
  });
}

}  // namespace

std::span<const Operator> movement_rules() {
  static constexpr Operator rules[] = {
      {"Identity", identity},
      {"Reshape", reshape},
      {"Flatten", reshape},
      {"Squeeze", reshape},
      {"Unsqueeze", reshape},
      {"Cast", cast},
      {"CastLike", cast},
      {"Transpose", transpose},
      {"Concat", concat},
      {"Split", split, "", true},
      {"Slice", slice},
      {"Pad", pad},
      {"Gather", gather},
      {"GatherElements", gather},
      {"GatherND", gather},
      {"ScatterElements", scatter_elements},
      {"ScatterND", scatter_nd},
      {"Tile", tile},
      {"Trilu", trilu},
      {"SpaceToDepth", space_to_depth},
      {"DepthToSpace", depth_to_space},
      {"TopK", top_k},
  };
  return rules;
}

}  // namespace hone::autodiff
