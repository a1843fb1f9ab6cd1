// Sampling: Upsample (scales as an input since 9, Resize since 10), Resize (coordinates said since 11, roi and scales
// left out since 13, axes since 18), GridSample, RoiAlign, DFT, dilations of pooling.
//
// Resize of opset 10 has scales only. Coordinates are divided by the scale, and the nearest place is the one below where
// the dimension grows, the one above where it shrinks: the operator did not say, and ONNX Runtime does it so.
#include <algorithm>
#include <cmath>

#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

using Floats = std::vector<float>;

std::optional<Floats> floats(const ir::Value* value) {
  const ir::Tensor* tensor = ir::constant(value);
  if (!tensor || tensor->type() != ir::ElementType::float32 || tensor->element_count() > 64) return std::nullopt;
  return tensor->to_floats();
}

bool is_empty(const ir::Value* value) {
  return !value || (value->shape() && value->shape()->size() == 1 && (*value->shape())[0].number() == 0);
}

bool none_below_one(const Floats& scales) {
  return std::all_of(scales.begin(), scales.end(), [](float scale) { return scale >= 1; });
}
bool none_above_one(const Floats& scales) {
  return std::all_of(scales.begin(), scales.end(), [](float scale) { return scale <= 1; });
}

ir::Value* nothing(Step& step, std::string_view suffix) {
  return step.constant(ir::Tensor::of<float>({0}, {}), suffix);
}

// ---- Upsample

Reason upsample_old_up(Step& step) {
  const float height = step.node.float_or("height_scale", 1), width = step.node.float_or("width_scale", 1);
  step.node.remove_attribute("height_scale");
  step.node.remove_attribute("width_scale");
  step.node.set_attribute("scales", Floats{1, 1, height, width});
  if (step.node.string_or("mode", "nearest") == "bilinear") step.node.set_attribute("mode", std::string("linear"));
  return {};
}

Reason upsample_input_up(Step& step) {
  const Floats scales = step.node.floats_or("scales", {});
  step.node.remove_attribute("scales");
  step.node.set_input(1, step.constant(ir::Tensor::vector(scales), "scales"));
  return {};
}
Reason upsample_input_down(Step& step) {
  const auto scales = floats(step.node.input(1));
  if (!scales) return "its scales are not constant";
  step.node.remove_input(1);
  step.node.set_attribute("scales", *scales);
  return {};
}

void say_old_coordinates(ir::Node& node, bool grows) {
  node.set_attribute("coordinate_transformation_mode", std::string("asymmetric"));
  if (node.string_or("mode", "nearest") == "nearest")
    node.set_attribute("nearest_mode", std::string(grows ? "floor" : "ceil"));
}

// Its scales are at least 1, which Resize of opset 10 can't know of scales that are computed.
Reason upsample_up(Step& step) {
  std::string mode = step.node.string_or("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  ir::Value *x = step.node.input(0), *scales = step.node.input(1);
  if (step.target() < 11) {
    step.become("Resize", {x, scales}, attributes("mode", mode));
    return {};
  }
  step.land(11);
  ir::Value* roi = nothing(step, "roi");
  step.become("Resize", {x, roi, scales}, attributes("mode", mode));
  say_old_coordinates(step.node, true);
  return {};
}

// ---- Resize

Reason resize_first_down(Step& step) {
  const auto scales = floats(step.node.input(1));
  if (!scales || !none_below_one(*scales)) return "Upsample would take its place, and its scales may be below 1";
  step.become("Upsample", {step.node.input(0), step.node.input(1)},
              attributes("mode", step.node.string_or("mode", "nearest")));
  return {};
}

Reason resize_coordinates_up(Step& step) {
  ir::Value *x = step.node.input(0), *given = step.node.input(1);
  const auto scales = floats(given);
  const bool nearest = step.node.string_or("mode", "nearest") == "nearest";
  if (nearest && !scales) return "its scales are not constant";
  ir::Value* roi = nothing(step, "roi");
  if (nearest && !none_below_one(*scales) && !none_above_one(*scales)) {
    // First what grows, then what shrinks: each place of a dimension depends on that dimension alone.
    Floats up = *scales, down = *scales;
    for (float& scale : up) scale = std::max(scale, 1.0F);
    for (float& scale : down) scale = std::min(scale, 1.0F);
    x = step.add("Resize", {x, roi, step.constant(ir::Tensor::vector(up), "growing")},
                 attributes("mode", std::string("nearest"), "coordinate_transformation_mode", std::string("asymmetric"),
                            "nearest_mode", std::string("floor")),
                 "grown");
    given = step.constant(ir::Tensor::vector(down), "shrinking");
  }
  const std::string mode = step.node.string_or("mode", "nearest");
  step.become("Resize", {x, roi, given}, attributes("mode", mode));
  say_old_coordinates(step.node, scales && none_below_one(*scales));
  return {};
}

// Sizes as scales, where dividing and multiplying by them gives the sizes again.
std::optional<Floats> scales_of(const Step& step) {
  const ir::Node& node = step.node;
  if (!is_empty(node.input(2))) return floats(node.input(2));
  const auto sizes = step.ints(node.input(3));
  const auto dims = node.input(0)->shape() ? ir::static_dims(*node.input(0)->shape()) : std::nullopt;
  if (!sizes || !dims || sizes->size() != dims->size()) return std::nullopt;
  Floats scales;
  for (std::size_t i = 0; i < dims->size(); ++i) {
    const auto size = static_cast<float>((*sizes)[i]), dim = static_cast<float>((*dims)[i]);
    if (dim <= 0 || std::floor(dim * (size / dim)) != size) return std::nullopt;
    scales.push_back(size / dim);
  }
  return scales;
}

// Whether the nearest place is the one that Resize of opset 10 takes.
bool nearest_as_before(const std::string& coordinates, const std::string& nearest, const Floats& scales) {
  const bool whole =
      std::all_of(scales.begin(), scales.end(), [](float scale) { return scale >= 1 && scale == std::floor(scale); });
  if (coordinates == "asymmetric")
    return (nearest == "floor" && none_below_one(scales)) || (nearest == "ceil" && none_above_one(scales));
  // Grown s times, place s k + r lies less than half a place from k.
  return coordinates == "half_pixel" && whole && nearest.starts_with("round_prefer");
}

Reason resize_coordinates_down(Step& step) {
  const ir::Node& node = step.node;
  const std::string mode = node.string_or("mode", "nearest");
  const std::string coordinates = node.string_or("coordinate_transformation_mode", "half_pixel");
  const std::string nearest = node.string_or("nearest_mode", "round_prefer_floor");
  const auto scales = scales_of(step);
  if (!scales) return "its scales are not constant";
  const bool same = mode == "nearest"
                        ? nearest_as_before(coordinates, nearest, *scales)
                        : mode == "linear" && coordinates == "asymmetric" && node.int_or("exclude_outside", 0) == 0;
  if (!same) return fmt::format("it interpolates as '{}' with coordinates '{}'", mode, coordinates);
  ir::Value* given = is_empty(node.input(2)) ? step.constant(ir::Tensor::vector(*scales), "scales") : node.input(2);
  step.become("Resize", {node.input(0), given}, attributes("mode", mode));
  return {};
}

Reason resize_optional_up(Step& step) {
  if (step.node.string_or("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn")
    return "its coordinates are 'tf_half_pixel_for_nn'";
  if (step.node.input(3) && is_empty(step.node.input(2))) step.node.set_input(2, nullptr);
  if (step.node.input(1) && is_empty(step.node.input(1))) step.node.set_input(1, nullptr);
  step.node.trim_inputs();
  return {};
}
Reason resize_optional_down(Step& step) {
  if (!step.node.input(1)) step.node.set_input(1, nothing(step, "roi"));
  if (!step.node.input(2)) step.node.set_input(2, nothing(step, "scales"));
  return {};
}

Reason resize_axes_down(Step& step) {
  ir::Node& node = step.node;
  if (node.int_or("antialias", 0) != 0) return "it has antialias";
  if (node.string_or("keep_aspect_ratio_policy", "stretch") != "stretch") return "it keeps the aspect ratio";
  node.remove_attribute("keep_aspect_ratio_policy");
  if (!node.has_attribute("axes")) return {};
  const auto rank = step.rank(node.input(0));
  if (!rank) return "it has axes, and the rank of its input is not known";
  Ints axes = node.ints_or("axes", {});
  for (std::int64_t& axis : axes) {
    axis += axis < 0 ? *rank : 0;
    if (axis < 0 || axis >= *rank) return "an axis is outside of the input's rank";
  }
  const auto size = static_cast<std::size_t>(*rank);
  ir::Value* scales = nullptr;
  ir::Value* sizes = nullptr;
  if (!is_empty(node.input(2))) {
    const auto given = floats(node.input(2));
    if (!given || given->size() != axes.size()) return "its scales are not constant";
    Floats all(size, 1);
    for (std::size_t i = 0; i < axes.size(); ++i) all[static_cast<std::size_t>(axes[i])] = (*given)[i];
    scales = step.constant(ir::Tensor::vector(all), "scales");
  } else {
    const auto given = step.ints(node.input(3));
    const auto dims = ir::static_dims(*node.input(0)->shape());
    if (!given || !dims || given->size() != axes.size()) return "its sizes or those of its input are not constant";
    Ints all = *dims;
    for (std::size_t i = 0; i < axes.size(); ++i) all[static_cast<std::size_t>(axes[i])] = (*given)[i];
    sizes = step.constant(all, "sizes");
  }
  if (!is_empty(node.input(1))) {
    const auto given = floats(node.input(1));
    if (!given || given->size() != 2 * axes.size()) return "its roi is not constant";
    Floats all(2 * size, 0);
    std::fill(all.begin() + static_cast<std::ptrdiff_t>(size), all.end(), 1.0F);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      all[static_cast<std::size_t>(axes[i])] = (*given)[i];
      all[size + static_cast<std::size_t>(axes[i])] = (*given)[i + axes.size()];
    }
    node.set_input(1, step.constant(ir::Tensor::vector(all), "roi"));
  }
  node.remove_attribute("axes");
  node.set_input(2, scales);
  node.set_input(3, sizes);
  node.trim_inputs();
  return {};
}

// ---- others

Reason grid_sample_up(Step& step) {
  const std::string mode = step.node.string_or("mode", "bilinear");
  if (mode.starts_with("bi")) step.node.set_attribute("mode", mode.substr(2));
  return {};
}
Reason grid_sample_down(Step& step) {
  if (step.rank(step.node.input(0)) != 4) return "its input does not have four dimensions";
  const std::string mode = step.node.string_or("mode", "linear");
  if (mode != "nearest") step.node.set_attribute("mode", "bi" + mode);
  return {};
}

constexpr const char* without_shift = "output_half_pixel";

Reason roi_align_up(Step& step) {
  step.node.set_attribute("coordinate_transformation_mode", std::string(without_shift));
  return {};
}
Reason roi_align_down(Step& step) {
  if (step.node.string_or("coordinate_transformation_mode", "half_pixel") != without_shift)
    return "it shifts coordinates by half a pixel";
  step.node.remove_attribute("coordinate_transformation_mode");
  return {};
}

Reason dft_up(Step& step) {
  const std::int64_t axis = step.node.int_or("axis", 1);
  step.node.remove_attribute("axis");
  step.node.set_input(2, step.constant(ir::Tensor::scalar(axis), "axis"));
  return {};
}
Reason dft_down(Step& step) {
  if (step.node.int_or("inverse", 0) != 0 && step.node.int_or("onesided", 0) != 0)
    return "it is both inverse and onesided";
  std::int64_t axis = -2;
  if (step.node.input(2)) {
    const auto given = step.ints(step.node.input(2));
    if (!given || given->size() != 1) return "its axis is not constant";
    axis = given->front();
  }
  if (axis < 0) {
    const auto rank = step.rank(step.node.input(0));
    if (!rank) return "its axis counts from the end, and the rank is not known";
    axis += *rank;
  }
  step.node.set_input(2, nullptr);
  step.node.trim_inputs();
  step.node.set_attribute("axis", axis);
  return {};
}

Reason dilations_down(Step& step) {
  const Ints dilations = step.node.ints_or("dilations", {});
  if (std::any_of(dilations.begin(), dilations.end(), [](std::int64_t each) { return each != 1; }))
    return "it has dilations";
  step.node.remove_attribute("dilations");
  return {};
}

// A norm was any number, then an integer; 2 unless it is said.
Reason norm_up(Step& step) {
  const float p = step.node.float_or("p", 2);
  if (p != std::floor(p) || p < 1) return "its p is no positive integer";
  if (step.node.has_attribute("p")) step.node.set_attribute("p", static_cast<std::int64_t>(p));
  return {};
}
Reason norm_down(Step& step) {
  if (step.node.has_attribute("p")) step.node.set_attribute("p", static_cast<float>(step.node.int_or("p", 2)));
  return {};
}

}  // namespace

std::vector<Entry> resize_rules() {
  return {
      {"Upsample", 7, upsample_old_up, nullptr},
      {"Upsample", 9, upsample_input_up, upsample_input_down},
      {"Upsample", 10, upsample_up, nullptr},
      {"Resize", 10, nullptr, resize_first_down},
      {"Resize", 11, resize_coordinates_up, resize_coordinates_down},
      {"Resize", 13, resize_optional_up, resize_optional_down},
      {"Resize", 18, nullptr, resize_axes_down},
      {"GridSample", 20, grid_sample_up, grid_sample_down},
      {"RoiAlign", 16, roi_align_up, roi_align_down},
      {"DFT", 20, dft_up, dft_down},
      {"MaxPool", 10, nullptr, dilations_down},
      {"AveragePool", 19, nullptr, dilations_down},
      {"LpPool", 18, nullptr, dilations_down},
      {"LpPool", 2, norm_up, norm_down},
      {"GlobalLpPool", 2, norm_up, norm_down},
  };
}

}  // namespace hone::passes::opset
