// ONNX's text syntax, by ONNX's own parser and printer.
//
// A constant that is declared without a value, <float[256,64] weight>, is one of zeros: an architecture to be trained
// needs no numbers. ONNX's parser alone would take it for the type of a value that some node makes.
//
// Not kept by the printer: metadata of nodes and graphs, raw_data as such (it becomes typed fields), unknown fields.
#include "onnx/text_format.h"

#include <onnx/defs/parser.h>
#include <onnx/defs/printer.h>
#include <onnx/onnx_pb.h>

#include <exception>
#include <new>
#include <optional>
#include <unordered_set>

#include "hone/onnx/write.h"
#include "hone/support/buffer.h"
#include "hone/support/checked.h"
#include "hone/support/error.h"
#include "onnx/parse_message.h"
#include "onnx/parts.h"

namespace hone::onnx {
namespace {

// Of all constants without a value in one file; a text file that asks for more is a mistake or worse.
constexpr std::uint64_t kMostZeros = std::uint64_t{4} << 30;

std::optional<ir::Dims> static_dims(const ::onnx::TypeProto& type) {
  if (!type.has_tensor_type() || !type.tensor_type().has_shape()) return std::nullopt;
  ir::Dims dims;
  for (const auto& dim : type.tensor_type().shape().dim()) {
    if (!dim.has_dim_value()) return std::nullopt;
    dims.push_back(dim.dim_value());
  }
  return dims;
}

// What nodes of the graph read, and nodes and outputs of the graphs inside them.
void collect_used(const ::onnx::GraphProto& graph, std::unordered_set<std::string>& used) {
  const auto inner = [&](const ::onnx::GraphProto& body) {
    collect_used(body, used);
    for (const auto& output : body.output()) used.insert(output.name());
  };
  for (const auto& node : graph.node()) {
    used.insert(node.input().begin(), node.input().end());
    for (const auto& attribute : node.attribute()) {
      if (attribute.has_g()) inner(attribute.g());
      for (const auto& body : attribute.graphs()) inner(body);
    }
  }
}

// Turns declarations of constants without a value into initializers of zeros.
void fill_with_zeros(::onnx::GraphProto& graph) {
  std::unordered_set<std::string> made, used;
  for (const auto& input : graph.input()) made.insert(input.name());
  for (const auto& initializer : graph.initializer()) made.insert(initializer.name());
  for (const auto& node : graph.node()) made.insert(node.output().begin(), node.output().end());
  collect_used(graph, used);
  std::uint64_t total = 0;
  for (int i = 0; i < graph.value_info_size();) {
    const ::onnx::ValueInfoProto& value = graph.value_info(i);
    const auto type = static_cast<ir::ElementType>(value.type().tensor_type().elem_type());
    const auto dims = static_dims(value.type());
    if (!dims || made.contains(value.name()) || !used.contains(value.name()) || ir::bit_width(type) == 0) {
      ++i;
      continue;
    }
    const auto count = element_count(*dims);
    const auto bytes = count ? ir::byte_size(type, static_cast<std::uint64_t>(*count)) : std::nullopt;
    if (!bytes || *bytes > kMostZeros - total) {
      bad_input("constant {} has no value, and zeros for its shape would take too much memory", quote(value.name()));
    }
    total += *bytes;
    require_memory(*bytes, "constants without a value");
    ::onnx::TensorProto& tensor = *graph.add_initializer();
    tensor.set_name(value.name());
    tensor.set_data_type(value.type().tensor_type().elem_type());
    for (const std::int64_t dim : *dims) tensor.add_dims(dim);
    tensor.set_raw_data(std::string(*bytes, '\0'));
    graph.mutable_value_info()->DeleteSubrange(i, 1);
  }
}

}  // namespace

ir::Model parse_text(std::string_view text, const std::string& name, const ReadOptions& options) {
  if (text.find('\0') != std::string_view::npos) bad_input("this is not ONNX text: it holds zero bytes");
  ::onnx::ModelProto proto;
  const std::string terminated(text);
  ::onnx::OnnxParser parser(terminated.c_str());
  ::onnx::Common::Status status;
  try {
    status = parser.Parse(proto);
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // numbers that are none: "1e"
    bad_input("{}", printable(error.what()));
  }
  if (!status.IsOK()) {
    // ONNX's message has a line for the place; ours have one line.
    std::string message = status.ErrorMessage();
    while (!message.empty() && message.back() == '\n') message.pop_back();
    for (std::size_t at = 0; (at = message.find('\n', at)) != std::string::npos;) message.replace(at, 1, "; ");
    bad_input("{}", printable(message));
  }
  if (!parser.EndOfInput()) bad_input("more text after the end of the model");
  fill_with_zeros(*proto.mutable_graph());
  return read_model(proto.SerializeAsString(), name, options);
}

std::string to_text(const ir::Model& model) {
  ::onnx::ModelProto proto;
  if (!parse_message(proto, to_bytes(model)))
    fail(ErrorKind::internal, "protobuf can't read the model that was written");
  return ::onnx::ProtoToString(proto) + "\n";
}

}  // namespace hone::onnx
