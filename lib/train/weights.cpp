#include "hone/train/weights.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace hone::train {
namespace {

bool is_real(ir::ElementType type) {
  return type == ir::ElementType::float32 || type == ir::ElementType::float64 || type == ir::ElementType::float16 ||
         type == ir::ElementType::bfloat16;
}

// The tensor that a value holds when nobody overrides it.
const ir::Tensor* held(const ir::Value* value) {
  if (!value) return nullptr;
  if (value->initializer()) return value->initializer();
  return value->producer() && value->producer()->is("Constant") ? value->producer()->tensor("value") : nullptr;
}

// Operators that hand their first input on, rearranged: a weight behind them is still that weight.
bool hands_on(const ir::Node& node) {
  static const std::unordered_set<std::string_view> ops = {"Identity", "Transpose", "Reshape", "Cast",
                                                           "Squeeze",  "Unsqueeze", "Flatten"};
  return node.domain().empty() && ops.contains(node.op_type());
}

struct Source {
  const ir::Value* value = nullptr;
  bool transposed = false;  // an odd number of Transposes on the way
};
Source source_of(const ir::Value* value) {
  Source source{value, false};
  while (source.value && !held(source.value) && source.value->producer() && hands_on(*source.value->producer())) {
    const ir::Node& node = *source.value->producer();
    if (node.is("Transpose")) source.transposed = !source.transposed;
    source.value = node.input(0);
  }
  return source;
}

std::int64_t product(const ir::Dims& dims, std::size_t begin, std::size_t end) {
  std::int64_t result = 1;
  for (std::size_t i = begin; i < end && i < dims.size(); ++i) result *= dims[i];
  return result;
}

class Finder {
 public:
  explicit Finder(const ir::Graph& graph) : graph_(graph) {}

  std::vector<Weight> run() {
    for (const ir::Node& node : graph_.nodes()) {
      const bool weighted = visit(node);
      bool after = weighted;
      for (std::size_t i = 0; i < node.input_count() && !after; ++i) after = after_weights_.contains(node.input(i));
      if (!after) continue;
      for (std::size_t i = 0; i < node.output_count(); ++i) {
        if (node.output(i)) after_weights_.insert(node.output(i));
      }
    }
    return std::move(weights_);
  }

 private:
  bool take(const ir::Value* value, Role role, std::int64_t fan_in = 0, std::int64_t fan_out = 0,
            bool recurrent = false) {
    if (!value) return false;
    const ir::Tensor* tensor = held(value);
    if (value->sparse_initializer()) tensor = &value->sparse_initializer()->values;
    if (!tensor || !is_real(tensor->type()) || &value->graph() != &graph_) return false;
    if (!taken_.insert(value).second) return true;
    const ir::Dims& dims = value->sparse_initializer() ? value->sparse_initializer()->dims : tensor->dims();
    weights_.push_back({value->name(), role, tensor->type(), dims, fan_in, fan_out, recurrent});
    return true;
  }

  const ir::Dims* dims_of(const ir::Value* value) const {
    if (value && value->sparse_initializer()) return &value->sparse_initializer()->dims;
    const ir::Tensor* tensor = held(value);
    return tensor ? &tensor->dims() : nullptr;
  }

  // A matrix [inputs, outputs], or [outputs, inputs] where `transposed`.
  bool take_matrix(const ir::Value* operand, bool transposed) {
    const Source source = source_of(operand);
    const ir::Dims* dims = dims_of(source.value);
    if (!dims || dims->empty()) return false;
    if (source.transposed) transposed = !transposed;
    const std::size_t rank = dims->size();
    const std::int64_t rows = rank >= 2 ? (*dims)[rank - 2] : 1, columns = (*dims)[rank - 1];
    return transposed ? take(source.value, Role::matrix, columns, rows)
                      : take(source.value, Role::matrix, rows, columns);
  }

  // Whether the node multiplies by weights.
  bool visit(const ir::Node& node) {
    if (!node.domain().empty()) return false;
    const std::string& op = node.op_type();
    if (op == "Gemm") {
      const bool right = take_matrix(node.input(1), node.int_or("transB", 0) != 0);
      const bool left = !right && take_matrix(node.input(0), node.int_or("transA", 0) == 0);
      if (right || left) take(source_of(node.input(2)).value, Role::bias);
      return right || left;
    }
    if (op == "MatMul") return take_matrix(node.input(1), false) || take_matrix(node.input(0), true);
    if (op == "Conv" || op == "ConvTranspose") {
      const Source source = source_of(node.input(1));
      const ir::Dims* dims = dims_of(source.value);
      if (!dims || dims->size() < 2) return false;
      const std::int64_t groups = std::max<std::int64_t>(node.int_or("group", 1), 1);
      const std::int64_t places = product(*dims, 2, dims->size());
      // Conv: [out, in/groups, ...]; ConvTranspose: [in, out/groups, ...].
      if (op == "Conv") {
        take(source.value, Role::matrix, (*dims)[1] * places, (*dims)[0] / groups * places);
      } else {
        take(source.value, Role::matrix, (*dims)[0] / groups * places, (*dims)[1] * places);
      }
      take(source_of(node.input(2)).value, Role::bias);
      return true;
    }
    if (op == "BatchNormalization") {
      const bool found = take(node.input(1), Role::scale);
      take(node.input(2), Role::bias);
      take(node.input(3), Role::mean);
      take(node.input(4), Role::variance);
      return found;
    }
    if (op == "LayerNormalization" || op == "InstanceNormalization" || op == "GroupNormalization") {
      const bool found = take(source_of(node.input(1)).value, Role::scale);
      take(source_of(node.input(2)).value, Role::bias);
      return found;
    }
    if (op == "RMSNormalization") return take(source_of(node.input(1)).value, Role::scale);
    if (op == "PRelu") return take(source_of(node.input(1)).value, Role::slope);
    if (op == "LSTM" || op == "GRU" || op == "RNN") {
      for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
        const ir::Dims* dims = dims_of(node.input(i));
        if (dims && dims->size() == 3) take(node.input(i), Role::matrix, (*dims)[2], (*dims)[1], i == 2);
      }
      take(node.input(3), Role::bias);
      take(node.input(7), Role::bias);
      return true;
    }
    if (op == "Gather") {
      const ir::Dims* dims = dims_of(node.input(0));
      return dims && dims->size() == 2 && node.int_or("axis", 0) == 0 &&
             take(node.input(0), Role::embedding, (*dims)[0], (*dims)[1]);
    }
    if (op == "Add" || op == "Mul") {
      for (std::size_t i = 0; i < 2; ++i) {
        const ir::Value* value = source_of(node.input(i)).value;
        if (after_weights_.contains(node.input(1 - i)) && is_shift_or_scale(value)) {
          take(value, op == "Add" ? Role::bias : Role::scale);
        }
      }
    }
    return false;
  }

  bool is_shift_or_scale(const ir::Value* value) const {
    const ir::Tensor* tensor = held(value);
    if (!tensor || !is_real(tensor->type()) || tensor->rank() == 0) return false;
    // One number in a tensor of one dimension may be the bias of one output; a number is a factor of the architecture.
    if (tensor->element_count() <= 1 &&
        !(tensor->rank() == 1 && value->only_use() && value->only_use()->node->is("Add"))) {
      return false;
    }
    const std::vector<float> values = tensor->to_floats();
    return std::none_of(values.begin(), values.end(), [](float x) { return !(x > -1e4F); });
  }

  const ir::Graph& graph_;
  std::vector<Weight> weights_;
  std::unordered_set<const ir::Value*> taken_;
  std::unordered_set<const ir::Value*> after_weights_;
};

}  // namespace

std::string_view name(Role role) {
  switch (role) {
    case Role::matrix:
      return "matrix";
    case Role::embedding:
      return "embedding";
    case Role::bias:
      return "bias";
    case Role::scale:
      return "scale";
    case Role::slope:
      return "slope";
    case Role::mean:
      return "mean";
    case Role::variance:
      return "variance";
  }
  return "";
}

std::vector<Weight> find_weights(const ir::Model& model) { return Finder(*model.graph).run(); }

}  // namespace hone::train
