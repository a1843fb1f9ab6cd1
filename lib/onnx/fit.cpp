// Does a node of one version of its operator fit another? Schemas are compared with what the node has.
//
// Not handled: what an operator does, and the words that a string attribute may be.
#include <onnx/onnx_pb.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <tuple>

#include "hone/onnx/schema.h"
#include "hone/support/error.h"
#include "onnx/registry.h"

namespace hone::onnx {
namespace {

using ::onnx::OpSchema;

// ONNX's spelling of a type without its shape; empty where it is not known.
std::string type_text(const ir::Type& type) {
  const auto around = [](const char* what, const ir::Type& inner) {
    const std::string text = type_text(inner);
    return text.empty() ? text : std::string(what) + "(" + text + ")";
  };
  switch (type.kind) {
    case ir::Type::Kind::tensor:
    case ir::Type::Kind::sparse_tensor: {
      if (type.element == ir::ElementType::undefined) return "";
      const char* what = type.kind == ir::Type::Kind::tensor ? "tensor" : "sparse_tensor";
      return std::string(what) + "(" + std::string(ir::name(type.element)) + ")";
    }
    case ir::Type::Kind::sequence:
      return type.inner ? around("seq", *type.inner) : "";
    case ir::Type::Kind::optional:
      return type.inner ? around("optional", *type.inner) : "";
    case ir::Type::Kind::map: {
      const std::string value = type.inner ? type_text(*type.inner) : "";
      return value.empty() ? "" : "map(" + std::string(ir::name(type.element)) + "," + value + ")";
    }
    default:
      return "";
  }
}

bool takes(const OpSchema::FormalParameter& formal, const std::string& type) {
  const auto& allowed = formal.GetTypes();
  const auto same = [&](const std::string* each) {
    std::string text = *each;
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    return text == type;
  };
  return std::any_of(allowed.begin(), allowed.end(), same);
}

// Whether `to` takes every type that `from` takes.
bool takes_all(const OpSchema::FormalParameter& from, const OpSchema::FormalParameter& to) {
  const auto& less = from.GetTypes();
  const auto& more = to.GetTypes();
  return std::all_of(less.begin(), less.end(), [&](const std::string* type) { return more.contains(type); });
}

const OpSchema::FormalParameter* formal_at(const std::vector<OpSchema::FormalParameter>& formals, std::size_t i) {
  if (i < formals.size()) return &formals[i];
  const bool variadic = !formals.empty() && formals.back().GetOption() == OpSchema::Variadic;
  return variadic ? &formals.back() : nullptr;
}

// Slots of one side of a node, held against the schema.
class Slots {
 public:
  Slots(const char* what, const std::vector<OpSchema::FormalParameter>& from,
        const std::vector<OpSchema::FormalParameter>& to,
        std::map<std::string, std::pair<std::string, std::string>>& bound)
      : what_(what), from_(from), to_(to), bound_(bound) {}

  std::optional<std::string> check(const ir::Value* value, std::size_t i) {
    const OpSchema::FormalParameter* formal = formal_at(to_, i);
    if (!formal) return value ? std::optional(fmt::format("{} {} {}", what_, i, missing)) : std::nullopt;
    if (!value) return std::nullopt;
    const std::string type = type_text(value->type());
    if (type.empty()) {
      const OpSchema::FormalParameter* before = formal_at(from_, i);
      if (before && takes_all(*before, *formal)) return std::nullopt;
      return fmt::format("the type of {} {} is not known, and fewer are taken there", what_, quote(value->name()));
    }
    if (!takes(*formal, type)) return fmt::format("{} {} is a {}", what_, quote(formal->GetName()), type);
    if (!formal->GetIsHomogeneous()) return std::nullopt;
    const auto [found, is_new] = bound_.try_emplace(formal->GetTypeStr(), formal->GetName(), type);
    if (is_new || found->second.second == type) return std::nullopt;
    return fmt::format("{} is a {} and {} a {}", quote(found->second.first), found->second.second,
                       quote(formal->GetName()), type);
  }

  static constexpr const char* missing = "does not exist there";

 private:
  const char* what_;
  const std::vector<OpSchema::FormalParameter>&from_, &to_;
  std::map<std::string, std::pair<std::string, std::string>>& bound_;
};

}  // namespace

const std::vector<std::int64_t>& schema_versions(const std::string& op_type, const std::string& domain) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, std::vector<std::int64_t>> known;
  const std::lock_guard lock(mutex);
  const auto [found, is_new] = known.try_emplace({domain, op_type});
  if (is_new) {
    for (std::int64_t version = latest_opset(domain); version >= 1;) {
      const OpSchema* schema = find_op_schema(op_type, domain, version);
      if (!schema) break;
      found->second.insert(found->second.begin(), schema->SinceVersion());
      version = schema->SinceVersion() - 1;
    }
  }
  return found->second;
}

const std::vector<std::pair<std::string, ir::Attribute>>& attribute_defaults(const std::string& op_type,
                                                                             const std::string& domain,
                                                                             std::int64_t version) {
  static std::mutex mutex;
  static std::map<const OpSchema*, std::vector<std::pair<std::string, ir::Attribute>>> known;
  static const std::vector<std::pair<std::string, ir::Attribute>> none;
  const OpSchema* schema = find_op_schema(op_type, domain, version);
  if (!schema) return none;
  const std::lock_guard lock(mutex);
  const auto [found, is_new] = known.try_emplace(schema);
  if (!is_new) return found->second;
  for (const auto& [name, attribute] : schema->attributes()) {
    const ::onnx::AttributeProto& value = attribute.default_value;
    ir::Attribute::Payload payload;
    switch (value.type()) {
      case ::onnx::AttributeProto::FLOAT:
        payload = value.f();
        break;
      case ::onnx::AttributeProto::INT:
        payload = std::int64_t{value.i()};
        break;
      case ::onnx::AttributeProto::STRING:
        payload = value.s();
        break;
      case ::onnx::AttributeProto::FLOATS:
        payload = std::vector<float>(value.floats().begin(), value.floats().end());
        break;
      case ::onnx::AttributeProto::INTS:
        payload = std::vector<std::int64_t>(value.ints().begin(), value.ints().end());
        break;
      case ::onnx::AttributeProto::STRINGS:
        payload = std::vector<std::string>(value.strings().begin(), value.strings().end());
        break;
      default:
        continue;  // none, or no kind that has defaults
    }
    found->second.emplace_back(name, ir::Attribute(name, std::move(payload)));
  }
  return found->second;
}

std::optional<std::string> misfit(const ir::Node& node, std::int64_t from, std::int64_t to) {
  const OpSchema* before = find_op_schema(node.op_type(), node.domain(), from);
  const OpSchema* after = find_op_schema(node.op_type(), node.domain(), to);
  if (!after || after->Deprecated()) return "the operator does not exist there";
  if (!before) return "the operator is not known";
  if (before == after) return std::nullopt;

  for (const ir::Attribute& attribute : node.attributes()) {
    const bool was = before->attributes().contains(attribute.name);
    if (was && !after->attributes().contains(attribute.name))
      return fmt::format("attribute {} {}", quote(attribute.name), Slots::missing);
  }
  std::size_t inputs = node.input_count();
  while (inputs > 0 && !node.input(inputs - 1)) --inputs;
  if (inputs < static_cast<std::size_t>(after->min_input()))
    return fmt::format("it has {} inputs, and {} are needed there", inputs, after->min_input());
  std::map<std::string, std::pair<std::string, std::string>> bound;  // type variable: parameter, type
  Slots in("input", before->inputs(), after->inputs(), bound),
      out("output", before->outputs(), after->outputs(), bound);
  for (std::size_t i = 0; i < inputs; ++i) {
    if (auto reason = in.check(node.input(i), i)) return reason;
    const auto& formals = after->inputs();
    if (!node.input(i) && i < formals.size() && formals[i].GetOption() == OpSchema::Single)
      return fmt::format("input {} may not be left out there", quote(formals[i].GetName()));
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (auto reason = out.check(node.output(i), i)) return reason;
  }
  return std::nullopt;
}

}  // namespace hone::onnx
