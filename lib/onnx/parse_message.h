// Handing models to ONNX's own code as its messages.
#pragma once

#include <google/protobuf/io/coded_stream.h>

#include <cstdint>
#include <string>

namespace hone::onnx {

// Whether `bytes`, which we wrote, could be read. Protobuf's own limit of 100 levels is a third of what graphs of
// ReadOptions::max_nesting take.
template <typename Proto>
bool parse_message(Proto& proto, const std::string& bytes) {
  constexpr int deepest = 10'000;
  google::protobuf::io::CodedInputStream input(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()));
  input.SetRecursionLimit(deepest);
  return proto.ParseFromCodedStream(&input) && input.ConsumedEntireMessage();
}

}  // namespace hone::onnx
