// ONNX's text syntax, by ONNX's own parser and printer.
//
// Not kept by the printer: metadata of nodes and graphs, raw_data as such (it becomes typed fields), unknown fields.
#include "onnx/text_format.h"

#include <onnx/defs/parser.h>
#include <onnx/defs/printer.h>
#include <onnx/onnx_pb.h>

#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "onnx/parts.h"

namespace hone::onnx {

ir::Model parse_text(std::string_view text, const std::string& name, const ReadOptions& options) {
  if (text.find('\0') != std::string_view::npos) bad_input("this is not ONNX text: it holds zero bytes");
  ::onnx::ModelProto proto;
  const std::string terminated(text);
  ::onnx::OnnxParser parser(terminated.c_str());
  const ::onnx::Common::Status status = parser.Parse(proto);
  if (!status.IsOK()) bad_input("{}", status.ErrorMessage());
  if (!parser.EndOfInput()) bad_input("more text after the end of the model");
  return read_model(proto.SerializeAsString(), name, options);
}

std::string to_text(const ir::Model& model) {
  ::onnx::ModelProto proto;
  if (!proto.ParseFromString(to_bytes(model)))
    fail(ErrorKind::internal, "protobuf can't read the model that was written");
  return ::onnx::ProtoToString(proto) + "\n";
}

}  // namespace hone::onnx
