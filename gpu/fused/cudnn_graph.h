#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace meshattn::gpu {

/// A cuDNN backend descriptor, destroyed with its last user. All calls throw DeviceError with cuDNN's own message.
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count, const void* values);
  template <typename T>
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, const T& value) {
    set(name, type, 1, &value);
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value);
  void finalize(const char* what);
  [[nodiscard]] cudnnBackendDescriptor_t get() const { return handle_.get(); }

 private:
  std::shared_ptr<void> handle_;
};

/// Where plans are to run: on a handle's device, or, to learn whether they would, on one known by its properties only
/// (JSON, as cuDNN writes them).
struct PlanTarget {
  cudnnHandle_t handle = nullptr;
  std::string properties;
};

/// A graph made ready to run.
class GraphPlan {
 public:
  GraphPlan(Descriptor plan, std::vector<Descriptor> needed);

  [[nodiscard]] std::int64_t workspace_bytes() const { return workspace_bytes_; }
  /// What a run of a plan reads and writes, as often as it is run.
  /// @param tensors each tensor's number with its place; by-value tensors with the host's, which must stay as it is
  [[nodiscard]] static Descriptor pack(std::span<const std::pair<std::int64_t, void*>> tensors, void* workspace);
  void run(cudnnHandle_t handle, const Descriptor& pack) const;

 private:
  Descriptor plan_;
  std::vector<Descriptor> needed_;
  std::int64_t workspace_bytes_ = 0;
};

/// A graph of tensors and operations on them, of NVIDIA's backend API (cuDNN graph documentation): cuDNN matches it as
/// a whole to one kernel.
class Graph {
 public:
  struct Tensor {
    Descriptor descriptor;
    std::int64_t number;
    std::vector<std::int64_t> dims, strides;
    cudnnDataType_t type;
  };

  /// An operation as it was asked for: for who wants to do it without cuDNN.
  struct Node {
    enum class Kind { kMatmul, kReduce, kReshape, kPointwise, kIndex, kSelect };
    Kind kind;
    int mode = 0;  ///< of a reduction, a cudnnReduceTensorOp_t, of a pointwise one, a cudnnPointwiseMode_t; an axis
    std::vector<Tensor> inputs;
    Tensor result;
  };

  /// How a tensor lies in memory, besides its strides.
  struct Memory {
    std::int64_t alignment = 16;  ///< bytes
    cudnnBackendTensorReordering_t order = CUDNN_TENSOR_REORDERING_NONE;
  };

  /// One in memory. Its number says which at run time.
  Tensor in_memory(std::int64_t number, std::vector<std::int64_t> dims, std::vector<std::int64_t> strides,
                   cudnnDataType_t type, Memory memory);
  /// One number, given by value at run time.
  Tensor scalar(std::int64_t number, cudnnDataType_t type);
  /// A result that only other operations see, row-major if no strides are given.
  Tensor between(std::vector<std::int64_t> dims, cudnnDataType_t type, std::vector<std::int64_t> strides = {});

  void matmul(const Tensor& a, const Tensor& b, const Tensor& result);
  void reduce(cudnnReduceTensorOp_t how, const Tensor& x, const Tensor& result);
  void reshape(const Tensor& x, const Tensor& result);
  void unary(cudnnPointwiseMode_t how, const Tensor& x, const Tensor& result);
  void binary(cudnnPointwiseMode_t how, const Tensor& x, const Tensor& b, const Tensor& result,
              cudnnDataType_t precision = CUDNN_DATA_FLOAT);
  /// result = index of each number along an axis.
  void index(const Tensor& x, std::int64_t axis, const Tensor& result);
  /// result = where ? x : b.
  void select(const Tensor& where, const Tensor& x, const Tensor& b, const Tensor& result);

  /// In an order in which each finds its inputs.
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

  /// @throws DeviceError if no engine of cuDNN takes the graph.
  [[nodiscard]] GraphPlan plan(const PlanTarget& target);

 private:
  Tensor tensor(std::int64_t number, std::vector<std::int64_t> dims, std::vector<std::int64_t> strides,
                cudnnDataType_t type, bool is_virtual, bool by_value, Memory memory);
  Descriptor pointwise(cudnnPointwiseMode_t how, cudnnDataType_t precision, const Tensor& x, const Tensor& result,
                       std::int64_t axis = -1);
  void add(Descriptor operation, const char* what, Node node);

  std::vector<Node> nodes_;
  std::vector<Descriptor> operations_;
  std::vector<Descriptor> needed_;  ///< what operations refer to
  std::int64_t next_number_ = 1000;
};

}  // namespace meshattn::gpu
