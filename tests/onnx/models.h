// Models for the tests of lib/onnx, as protobuf messages.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <random>
#include <string>

namespace hone::testing {

// y = Relu(x) with x: float[N, 4].
::onnx::ModelProto small_model();

// Puts something into fields that a reader may not understand but must keep: doc strings, metadata, empty strings, fields
// with numbers that ONNX does not have. `everything` also sets fields that decide what a model means; for messages that
// are kept as bytes.
void decorate(google::protobuf::Message& message, std::mt19937& random, bool everything, int depth = 0);

// A valid model with operators, attributes of every kind, tensors of every type in every encoding, subgraphs, functions,
// sparse initializers, decorated at random.
::onnx::ModelProto random_model(std::uint32_t seed);

std::string serialize(const google::protobuf::Message& message);  // in protobuf's canonical order

}  // namespace hone::testing
