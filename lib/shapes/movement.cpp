// Shapes, and known elements, of operators that move data: reshaping, joining, cutting, gathering.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "shapes/functions.h"

namespace hone::shapes {
namespace {

using ir::Dimension;
using ir::ElementType;
using ir::Shape;
using Ints = std::vector<std::int64_t>;

void constant(View& view) {
  const ir::Tensor* tensor = ir::constant(view.node.output(0));
  if (tensor) view.set(0, tensor->type(), Shape(tensor->dims().begin(), tensor->dims().end()));
}

void shape(View& view) {
  const Shape* input = view.shape(0);
  if (!input) return view.set(0, ElementType::int64, Shape{Dimension()});
  const auto rank = static_cast<std::int64_t>(input->size());
  const auto bound = [&](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t start = bound(view.node.int_or("start", 0));
  const std::int64_t end = std::max(start, bound(view.node.int_or("end", rank)));
  view.set(0, ElementType::int64, Shape{end - start});
  view.set_elements(0, Elements(input->begin() + start, input->begin() + end));
}

void size(View& view) {
  view.set(0, ElementType::int64, Shape{});
  if (const Shape* input = view.shape(0)) view.set_elements(0, {ir::element_count(*input)});
}

void reshape(View& view) {
  const Shape* input = view.shape(0);
  const Elements* target = nullptr;
  Elements from_attribute;
  if (view.opset < 5 && view.node.has_attribute("shape")) {
    for (const std::int64_t dim : view.node.ints_or("shape", {})) from_attribute.push_back(dim);
    target = &from_attribute;
  } else {
    target = view.elements(1);
  }
  if (!target) {
    // The rank is the length of the target.
    const Shape* length = view.shape(1);
    if (length && length->size() == 1 && (*length)[0].number() && *(*length)[0].number() <= kMaxElements) {
      view.set(0, view.type(0), Shape(static_cast<std::size_t>(*(*length)[0].number())));
    } else {
      view.set(0, view.type(0), std::nullopt);
    }
    return;
  }
  const bool allow_zero = view.node.int_or("allowzero", 0) != 0;
  Shape result;
  std::optional<std::size_t> wildcard;
  for (std::size_t i = 0; i < target->size(); ++i) {
    const Dimension& dim = (*target)[i];
    if (dim.number() == -1) {
      if (wildcard) return view.set(0, view.type(0), std::nullopt);
      wildcard = i;
      result.emplace_back();
    } else if (dim.number() == 0 && !allow_zero) {
      result.push_back(input && i < input->size() ? (*input)[i] : Dimension());
    } else if (!dim.number() && !(dim.lower_bound() && *dim.lower_bound() >= 0)) {
      result.emplace_back();  // might be -1
    } else {
      // A symbol that may be 0 would copy the input's dimension, which in a valid model is 0 then too.
      result.push_back(dim);
    }
  }
  if (input) {
    // One unknown dimension, spelled -1 or computed, is what is left of the element count. Factors that stand on both
    // sides cancel first, so that products of symbols divide.
    std::optional<std::size_t> open;
    bool solvable = true;
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (!result[i].is_unknown()) continue;
      if (open) solvable = false;
      open = i;
    }
    if (open && solvable) {
      std::vector<Dimension> from = *input;
      Dimension rest = 1;
      for (std::size_t i = 0; i < result.size(); ++i) {
        if (i == *open) continue;
        const auto twin = std::find_if(from.begin(), from.end(),
                                       [&](const Dimension& dim) { return provably_equal(dim, result[i]); });
        if (twin != from.end() && result[i].number() != 0) {
          from.erase(twin);
        } else {
          rest = rest * result[i];
        }
      }
      Dimension count = 1;
      for (const Dimension& dim : from) count = count * dim;
      if (const auto quotient = exact_div(count, rest); quotient && rest.number() != 0) {
        result[*open] = *quotient;
      }
    }
  }
  view.set(0, view.type(0), std::move(result));
  copy_elements(view);
}

void flatten(View& view) {
  const Shape* input = view.shape(0);
  if (!input) return view.set(0, view.type(0), Shape(2));
  std::int64_t axis = view.node.int_or("axis", 1);
  const auto rank = static_cast<std::int64_t>(input->size());
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank) return;
  view.set(0, view.type(0),
           Shape{ir::element_count(Shape(input->begin(), input->begin() + axis)),
                 ir::element_count(Shape(input->begin() + axis, input->end()))});
}

void transpose(View& view) {
  const Shape* input = view.shape(0);
  if (!input) {
    const Ints perm = view.node.ints_or("perm", {});
    view.set(0, view.type(0), perm.empty() ? std::nullopt : std::optional(Shape(perm.size())));
    return;
  }
  Ints perm = view.node.ints_or("perm", {});
  if (perm.empty()) {
    perm.resize(input->size());
    std::iota(perm.rbegin(), perm.rend(), 0);
  }
  if (perm.size() != input->size()) return;
  Shape result;
  for (const std::int64_t axis : perm) {
    const auto at = normalize_axis(axis, input->size());
    if (!at) return;
    result.push_back((*input)[*at]);
  }
  view.set(0, view.type(0), std::move(result));
}

void squeeze(View& view) {
  const Shape* input = view.shape(0);
  bool present = false;
  const auto axes = view.ints("axes", 1, present);
  if (!input || (present && !axes)) return view.set(0, view.type(0), std::nullopt);
  std::vector<bool> gone(input->size(), false);
  if (present) {
    for (const std::int64_t axis : *axes) {
      const auto at = normalize_axis(axis, input->size());
      if (!at) return;
      gone[*at] = true;
    }
  } else {
    for (std::size_t i = 0; i < input->size(); ++i) {
      if (!(*input)[i].number()) return view.set(0, view.type(0), std::nullopt);  // is it 1?
      gone[i] = (*input)[i].number() == 1;
    }
  }
  Shape result;
  for (std::size_t i = 0; i < input->size(); ++i) {
    if (!gone[i]) result.push_back((*input)[i]);
  }
  view.set(0, view.type(0), std::move(result));
  copy_elements(view);
}

void unsqueeze(View& view) {
  const Shape* input = view.shape(0);
  bool present = false;
  const auto axes = view.ints("axes", 1, present);
  if (!input || !axes) return view.set(0, view.type(0), std::nullopt);
  const std::size_t rank = input->size() + axes->size();
  std::vector<bool> fresh(rank, false);
  for (const std::int64_t axis : *axes) {
    const auto at = normalize_axis(axis, rank);
    if (!at || fresh[*at]) return;
    fresh[*at] = true;
  }
  Shape result;
  std::size_t next = 0;
  for (std::size_t i = 0; i < rank; ++i) result.push_back(fresh[i] ? Dimension(1) : (*input)[next++]);
  view.set(0, view.type(0), std::move(result));
  copy_elements(view);
}

void concat(View& view) {
  const std::size_t count = view.node.input_count();
  std::optional<Shape> result;
  std::optional<std::size_t> axis;
  for (std::size_t i = 0; i < count; ++i) {
    const Shape* input = view.shape(i);
    if (!input) {
      result.reset();
      break;
    }
    if (!result) {
      axis = normalize_axis(view.node.int_or("axis", view.opset < 4 ? 1 : 0), input->size());
      if (!axis) return;
      result = *input;
      continue;
    }
    if (input->size() != result->size()) return;
    for (std::size_t d = 0; d < input->size(); ++d) {
      Dimension& dim = (*result)[d];
      if (d == *axis) {
        dim = dim + (*input)[d];
      } else if (dim.is_unknown() || (!dim.number() && (*input)[d].number())) {
        dim = (*input)[d];
      }
    }
  }
  view.set(0, view.type(0), result);
  Elements joined;
  for (std::size_t i = 0; i < count; ++i) {
    const Shape* input = view.shape(i);
    if (!input || input->size() != 1) return;
    if (const Elements* elements = view.elements(i)) {
      joined.insert(joined.end(), elements->begin(), elements->end());
    } else if ((*input)[0].number() && *(*input)[0].number() <= kMaxElements) {
      joined.resize(joined.size() + static_cast<std::size_t>(*(*input)[0].number()));
    } else {
      return;
    }
  }
  if (static_cast<std::int64_t>(joined.size()) <= kMaxElements) view.set_elements(0, std::move(joined));
}

void split(View& view) {
  const Shape* input = view.shape(0);
  bool present = false;
  const auto sizes = view.ints("split", 1, present);
  const std::size_t count = view.node.output_count();
  if (!input) {
    for (std::size_t i = 0; i < count; ++i) view.set(i, view.type(0), std::nullopt);
    return;
  }
  const auto axis = normalize_axis(view.node.int_or("axis", 0), input->size());
  if (!axis || count == 0) return;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Shape result = *input;
    Dimension& dim = result[*axis];
    if (present) {
      dim = sizes && i < sizes->size() ? Dimension((*sizes)[i]) : Dimension();
    } else {
      const auto parts = static_cast<std::int64_t>(count);
      const Dimension chunk = ceil_div((*input)[*axis], parts);
      if (i + 1 < count || chunk.is_unknown()) {
        dim = chunk;
      } else {
        dim = (*input)[*axis] - chunk * Dimension(parts - 1);
      }
    }
    const std::optional<std::int64_t> length = dim.number();
    view.set(i, view.type(0), std::move(result));
    const Elements* elements = view.elements(0);
    if (elements && input->size() == 1 && length && at + *length <= static_cast<std::int64_t>(elements->size())) {
      view.set_elements(i, Elements(elements->begin() + at, elements->begin() + at + *length));
    }
    at += length.value_or(0);
    if (!length) at = kMaxElements * 2;
  }
}

// The first place of a slice of `size` places and the one that ends it, as runtimes bring them inside: backwards from before
// the first place, that one is taken. A step across all of them is as good as any longer one, and can't overflow.
struct SlicePlaces {
  std::int64_t begin, end, step;
};
SlicePlaces slice_places(std::int64_t size, std::int64_t start, std::int64_t end, std::int64_t step) {
  const std::int64_t across = std::max<std::int64_t>(size, 1);
  step = std::clamp(step, -across, across);
  const auto place = [&](std::int64_t at, std::int64_t low, std::int64_t high) {
    if (at < 0) at = at < -size ? -1 : at + size;
    return std::clamp(at, low, high);
  };
  if (step > 0) return {place(start, 0, size), place(end, 0, size), step};
  if (size == 0) return {-1, -1, step};
  return {place(start, 0, size - 1), place(end, -1, size - 1), step};
}

// Length of a slice along one dimension, where it can be told.
Dimension slice_length(const Dimension& dim, const Dimension& start, const Dimension& end, std::int64_t step) {
  if (step == 0) return {};
  const auto size = dim.number();
  if (size && start.number() && end.number()) {
    if (step == INT64_MIN) return {};
    const SlicePlaces at = slice_places(*size, *start.number(), *end.number(), step);
    const std::int64_t across = at.step > 0 ? at.end - at.begin : at.begin - at.end, apart = std::abs(at.step);
    return std::max<std::int64_t>(0, (across + apart - 1) / apart);
  }
  if (step != 1) {
    // Whole dimension with a step.
    if (step > 1 && start.number() == 0 && end.number() && *end.number() >= INT32_MAX) {
      return ceil_div(dim, Dimension(step));
    }
    return {};
  }
  const auto from_end = [&](const Dimension& at) -> Dimension {
    if (!at.number()) return at;
    if (*at.number() >= INT32_MAX) return dim;  // "to the end"
    return *at.number() < 0 ? dim + at : at;
  };
  const Dimension b = from_end(start), e = from_end(end);
  const auto not_negative = [](const Dimension& d) { return d.lower_bound() && *d.lower_bound() >= 0; };
  if (b.is_unknown() || e.is_unknown()) return {};
  // min(e, dim) - min(b, dim), each at least 0: exact where every order is certain.
  if (!not_negative(b) || !not_negative(e)) {
    // dim + at with a negative number: exact when the dimension is at least that long, which nobody promises.
    return {};
  }
  const Dimension stop = minimum(e, dim);
  const Dimension length = stop - minimum(b, dim);
  return not_negative(length) ? length : maximum(length, Dimension(0));
}

void slice(View& view) {
  const Shape* input = view.shape(0);
  Elements starts, ends;
  Ints axes, steps;
  if (view.opset < 10) {
    for (const std::int64_t v : view.node.ints_or("starts", {})) starts.push_back(v);
    for (const std::int64_t v : view.node.ints_or("ends", {})) ends.push_back(v);
    axes = view.node.ints_or("axes", {});
  } else {
    const Elements* from = view.elements(1);
    const Elements* to = view.elements(2);
    const auto length = view.shape(1) && view.shape(1)->size() == 1 ? (*view.shape(1))[0].number() : std::nullopt;
    if (from) starts = *from;
    if (to) ends = *to;
    if (!from && length && *length <= kMaxElements) starts.resize(static_cast<std::size_t>(*length));
    if (!to) ends.resize(starts.size());
    if (view.has(3)) {
      const auto known = view.ints(3);
      if (!known) {
        return view.set(0, view.type(0), input ? std::optional(Shape(input->size())) : std::nullopt);
      }
      axes = *known;
    }
    if (view.has(4)) {
      const auto known = view.ints(4);
      steps = known ? *known : Ints(starts.size(), 0);
    }
  }
  if (!input) return view.set(0, view.type(0), std::nullopt);
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (starts.size() != ends.size() || starts.size() != axes.size() || (starts.empty() && view.opset >= 10)) {
    return view.set(0, view.type(0), Shape(input->size()));
  }
  steps.resize(starts.size(), 1);
  Shape result = *input;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normalize_axis(axes[i], input->size());
    if (!axis) return;
    result[*axis] = slice_length((*input)[*axis], starts[i], ends[i], steps[i]);
  }
  view.set(0, view.type(0), std::move(result));
  const Elements* elements = view.elements(0);
  if (!elements || input->size() != 1 || axes.size() != 1 || !starts[0].number() || !ends[0].number()) return;
  const auto count = static_cast<std::int64_t>(elements->size());
  const std::int64_t step = steps[0];
  if (step == 0 || step == INT64_MIN) return;
  const SlicePlaces at = slice_places(count, *starts[0].number(), *ends[0].number(), step);
  Elements cut;
  for (std::int64_t i = at.begin; step > 0 ? i < at.end : i > at.end; i += at.step)
    cut.push_back((*elements)[static_cast<std::size_t>(i)]);
  view.set_elements(0, std::move(cut));
}

void gather(View& view) {
  const Shape* data = view.shape(0);
  const Shape* indices = view.shape(1);
  if (!data || !indices) return view.set(0, view.type(0), std::nullopt);
  const auto axis = normalize_axis(view.node.int_or("axis", 0), data->size());
  if (!axis) return;
  Shape result(data->begin(), data->begin() + static_cast<std::ptrdiff_t>(*axis));
  result.insert(result.end(), indices->begin(), indices->end());
  result.insert(result.end(), data->begin() + static_cast<std::ptrdiff_t>(*axis) + 1, data->end());
  view.set(0, view.type(0), std::move(result));
  const Elements* elements = view.elements(0);
  const auto wanted = view.ints(1);
  if (!elements || !wanted || data->size() != 1) return;
  Elements picked;
  for (const std::int64_t index : *wanted) {
    const auto at = normalize_axis(index, elements->size());
    picked.push_back(at ? (*elements)[*at] : Dimension());
  }
  view.set_elements(0, std::move(picked));
}

void gather_elements(View& view) {
  const Shape* indices = view.shape(1);
  view.set(0, view.type(0), indices ? std::optional(*indices) : std::nullopt);
}

void gather_nd(View& view) {
  const Shape* data = view.shape(0);
  const Shape* indices = view.shape(1);
  if (!data || !indices || indices->empty() || !indices->back().number()) {
    return view.set(0, view.type(0), std::nullopt);
  }
  const std::int64_t depth = *indices->back().number() + view.node.int_or("batch_dims", 0);
  if (depth < 0 || depth > static_cast<std::int64_t>(data->size())) return;
  Shape result(indices->begin(), indices->end() - 1);
  result.insert(result.end(), data->begin() + depth, data->end());
  view.set(0, view.type(0), std::move(result));
}

void like_first(View& view) {
  const Shape* input = view.shape(0);
  view.set(0, view.type(0), input ? std::optional(*input) : std::nullopt);
}

// Target from elements: each at least 0.
std::optional<Shape> shape_from(const View& view, std::size_t input) {
  const Elements* elements = view.elements(input);
  if (elements) {
    Shape result;
    for (const Dimension& dim : *elements) {
      const bool plausible = dim.number() ? *dim.number() >= 0 : true;
      result.push_back(plausible ? dim : Dimension());
    }
    return result;
  }
  const Shape* length = view.shape(input);
  if (length && length->size() == 1 && (*length)[0].number() && *(*length)[0].number() <= kMaxElements &&
      *(*length)[0].number() >= 0) {
    return Shape(static_cast<std::size_t>(*(*length)[0].number()));
  }
  return std::nullopt;
}

void expand(View& view) {
  const Shape* input = view.shape(0);
  const auto target = shape_from(view, 1);
  view.set(0, view.type(0), input && target ? std::optional(broadcast(*input, *target)) : std::nullopt);
  const Elements* elements = view.elements(0);
  if (elements && elements->size() == 1 && target && target->size() == 1 && (*target)[0].number() &&
      *(*target)[0].number() <= kMaxElements && *(*target)[0].number() >= 1) {
    view.set_elements(0, Elements(static_cast<std::size_t>(*(*target)[0].number()), (*elements)[0]));
  }
}

void tile(View& view) {
  const Shape* input = view.shape(0);
  const Elements* repeats = view.elements(1);
  if (!input) return view.set(0, view.type(0), std::nullopt);
  Shape result(input->size());
  if (repeats && repeats->size() == input->size()) {
    for (std::size_t i = 0; i < result.size(); ++i) result[i] = (*input)[i] * (*repeats)[i];
  }
  view.set(0, view.type(0), std::move(result));
}

void constant_of_shape(View& view) {
  ElementType type = ElementType::float32;
  const ir::Tensor* value = view.node.tensor("value");
  if (value) type = value->type();
  const auto target = shape_from(view, 0);
  view.set(0, type, target);
  if (!target || target->size() != 1 || !(*target)[0].number() || *(*target)[0].number() > kMaxElements) return;
  if (type != ElementType::int64 && type != ElementType::int32) return;
  if (!value || value->element_count() != 1) return;
  view.set_elements(0, Elements(static_cast<std::size_t>(*(*target)[0].number()), value->to_ints()[0]));
}

void range(View& view) {
  const Elements* start = view.elements(0);
  const Elements* limit = view.elements(1);
  const Elements* delta = view.elements(2);
  Dimension length;
  if (start && limit && delta && start->size() == 1 && limit->size() == 1 && delta->size() == 1) {
    const auto step = (*delta)[0].number();
    if (step && *step > 0) {
      const Dimension distance = (*limit)[0] - (*start)[0];
      const Dimension count = ceil_div(distance, Dimension(*step));
      length = count.lower_bound() && *count.lower_bound() >= 0 ? count : maximum(count, Dimension(0));
      if (length.number() && *length.number() <= kMaxElements) {
        view.set(0, view.type(0), Shape{length});
        Elements elements;
        for (std::int64_t i = 0; i < *length.number(); ++i) elements.push_back((*start)[0] + Dimension(i * *step));
        view.set_elements(0, std::move(elements));
        return;
      }
    }
  }
  view.set(0, view.type(0), Shape{length});
}

void pad(View& view) {
  const Shape* input = view.shape(0);
  if (!input) return view.set(0, view.type(0), std::nullopt);
  Elements pads;
  if (view.opset < 11) {
    for (const std::int64_t v : view.node.ints_or(view.opset < 2 ? "paddings" : "pads", {})) pads.push_back(v);
  } else if (const Elements* known = view.elements(1)) {
    pads = *known;
  } else {
    return view.set(0, view.type(0), Shape(input->size()));
  }
  Ints axes(input->size());
  std::iota(axes.begin(), axes.end(), 0);
  if (view.has(3)) {
    const auto known = view.ints(3);
    if (!known) return view.set(0, view.type(0), Shape(input->size()));
    axes = *known;
  }
  if (pads.size() != 2 * axes.size()) return;
  Shape result = *input;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normalize_axis(axes[i], input->size());
    if (!axis) return;
    result[*axis] = result[*axis] + pads[i] + pads[i + axes.size()];
  }
  view.set(0, view.type(0), std::move(result));
}

void depth_to_space(View& view) {
  const Shape* input = view.shape(0);
  const std::int64_t block = view.node.int_or("blocksize", 0);
  if (!input || input->size() != 4 || block <= 0 || block > 1 << 20) return;
  const auto depth = exact_div((*input)[1], Dimension(block * block));
  view.set(
      0, view.type(0),
      Shape{(*input)[0], depth.value_or(Dimension()), (*input)[2] * Dimension(block), (*input)[3] * Dimension(block)});
}

void space_to_depth(View& view) {
  const Shape* input = view.shape(0);
  const std::int64_t block = view.node.int_or("blocksize", 0);
  if (!input || input->size() != 4 || block <= 0 || block > 1 << 20) return;
  view.set(0, view.type(0),
           Shape{(*input)[0], (*input)[1] * Dimension(block * block), floor_div((*input)[2], Dimension(block)),
                 floor_div((*input)[3], Dimension(block))});
}

void resize(View& view) {
  const Shape* input = view.shape(0);
  if (!input) return view.set(0, view.type(0), std::nullopt);
  Shape result(input->size());
  if (view.opset >= 11 && view.has(3) && !view.node.has_attribute("axes")) {
    const std::string policy = view.node.string_or("keep_aspect_ratio_policy", "stretch");
    const Elements* sizes = view.elements(3);
    if (sizes && sizes->size() == input->size() && policy == "stretch") {
      for (std::size_t i = 0; i < result.size(); ++i) result[i] = (*sizes)[i];
    }
  } else if (!view.node.has_attribute("axes")) {
    const ir::Tensor* scales = ir::constant(view.node.input(view.opset >= 11 ? 2 : 1));
    if (scales && scales->type() == ElementType::float32 &&
        scales->element_count() == static_cast<std::int64_t>(input->size())) {
      const std::vector<float> factors = scales->to_floats();
      for (std::size_t i = 0; i < result.size(); ++i) {
        if (factors[i] == 1.0f) {
          result[i] = (*input)[i];
        } else if (factors[i] >= 1.0f && factors[i] == static_cast<float>(static_cast<std::int64_t>(factors[i])) &&
                   factors[i] < 1e6f) {
          result[i] = (*input)[i] * Dimension(static_cast<std::int64_t>(factors[i]));
        } else if ((*input)[i].number()) {
          result[i] = static_cast<std::int64_t>(static_cast<float>(*(*input)[i].number()) * factors[i]);
        }
      }
    }
  }
  view.set(0, view.type(0), std::move(result));
}

void scatter(View& view) { like_first(view); }

void quantize_linear(View& view) {
  const Shape* input = view.shape(0);
  ElementType type = view.has(2) ? view.type(2) : ElementType::uint8;
  if (const std::int64_t wanted = view.node.int_or("output_dtype", 0); wanted != 0 && !view.has(2)) {
    type = static_cast<ElementType>(wanted);
  }
  view.set(0, type, input ? std::optional(*input) : std::nullopt);
}

void dequantize_linear(View& view) {
  const Shape* input = view.shape(0);
  ElementType type = view.type(1);
  if (const std::int64_t wanted = view.node.int_or("output_dtype", 0); wanted != 0)
    type = static_cast<ElementType>(wanted);
  view.set(0, type, input ? std::optional(*input) : std::nullopt);
}

}  // namespace

std::vector<FunctionEntry> movement_functions() {
  return {{"Constant", constant},
          {"Shape", shape},
          {"Size", size},
          {"Reshape", reshape},
          {"Flatten", flatten},
          {"Transpose", transpose},
          {"Squeeze", squeeze},
          {"Unsqueeze", unsqueeze},
          {"Concat", concat},
          {"Split", split},
          {"Slice", slice},
          {"Gather", gather},
          {"GatherElements", gather_elements},
          {"GatherND", gather_nd},
          {"ScatterND", scatter},
          {"ScatterElements", scatter},
          {"Scatter", scatter},
          {"Expand", expand},
          {"Tile", tile},
          {"ConstantOfShape", constant_of_shape},
          {"Range", range},
          {"Pad", pad},
          {"DepthToSpace", depth_to_space},
          {"SpaceToDepth", space_to_depth},
          {"Resize", resize},
          {"Upsample", resize},
          {"QuantizeLinear", quantize_linear},
          {"DequantizeLinear", dequantize_linear}};
}

}  // namespace hone::shapes
