#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace meshattn::gpu {

/// A cuDNN backend descriptor, shared by its copies. All calls throw DeviceError with cuDNN's message.
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

/// The device of a plan: the device of a handle, or a device known only by its properties (JSON, as cuDNN writes them),
/// to test without it whether a plan is possible.
struct PlanTarget {
  cudnnHandle_t handle = nullptr;
  std::string properties;
};

/// The execution plan of a graph.
class GraphPlan {
 public:
  GraphPlan(Descriptor plan, std::vector<Descriptor> referenced);

  [[nodiscard]] std::int64_t workspace_bytes() const { return workspace_bytes_; }
  /// The memory that a plan reads and writes; one pack serves any number of runs.
  /// @param tensors the number and address of each tensor; the host address of a by-value tensor, which must not change
  [[nodiscard]] static Descriptor pack(std::span<const std::pair<std::int64_t, void*>> tensors, void* workspace);
  void run(cudnnHandle_t handle, const Descriptor& pack) const;

 private:
  Descriptor plan_;
  std::vector<Descriptor> referenced_;
  std::int64_t workspace_bytes_ = 0;
};

/// A graph of operations on tensors in cuDNN's backend API (cuDNN graph documentation). cuDNN maps the whole graph to
/// one kernel.
class Graph {
 public:
  struct Tensor {
    Descriptor descriptor;
    std::int64_t number;
    std::vector<std::int64_t> dims, strides;
    cudnnDataType_t type;
  };

  /// An operation as it was added, for an interpreter without cuDNN.
  struct Node {
    enum class Kind { kMatmul, kReduce, kReshape, kPointwise, kIndex, kSelect };
    Kind kind;
    int mode = 0;  ///< kReduce: cudnnReduceTensorOp_t; kPointwise: cudnnPointwiseMode_t; kIndex: the axis
    std::vector<Tensor> inputs;
    Tensor result;
  };

  /// The alignment and element order of a tensor in memory.
  struct Memory {
    std::int64_t alignment = 16;  ///< bytes
    cudnnBackendTensorReordering_t order = CUDNN_TENSOR_REORDERING_NONE;
  };

  /// A tensor in memory, whose address is given at run time.
  Tensor in_memory(std::int64_t number, std::vector<std::int64_t> dims, std::vector<std::int64_t> strides,
                   cudnnDataType_t type, Memory memory);
  /// A scalar, given by value at run time.
  Tensor scalar(std::int64_t number, cudnnDataType_t type);
  /// A virtual tensor: the result of an operation that is not stored. Row-major unless strides are given.
  Tensor virtual_tensor(std::vector<std::int64_t> dims, cudnnDataType_t type, std::vector<std::int64_t> strides = {});

  void matmul(const Tensor& a, const Tensor& b, const Tensor& result);
  void reduce(cudnnReduceTensorOp_t how, const Tensor& x, const Tensor& result);
  void reshape(const Tensor& x, const Tensor& result);
  void unary(cudnnPointwiseMode_t how, const Tensor& x, const Tensor& result);
  void binary(cudnnPointwiseMode_t how, const Tensor& x, const Tensor& b, const Tensor& result,
              cudnnDataType_t precision = CUDNN_DATA_FLOAT);
  /// result = the index of each element along an axis.
  void index(const Tensor& x, std::int64_t axis, const Tensor& result);
  /// result = where ? x : b.
  void select(const Tensor& where, const Tensor& x, const Tensor& b, const Tensor& result);

  /// The operations in the order in which they were added.
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }

  /// @throws DeviceError if no engine of cuDNN supports the graph
  [[nodiscard]] GraphPlan plan(const PlanTarget& target);

 private:
  Tensor tensor(std::int64_t number, std::vector<std::int64_t> dims, std::vector<std::int64_t> strides,
                cudnnDataType_t type, bool is_virtual, bool by_value, Memory memory);
  Descriptor pointwise(cudnnPointwiseMode_t how, cudnnDataType_t precision, const Tensor& x, const Tensor& result,
                       std::int64_t axis = -1);
  void add(Descriptor operation, const char* what, Node node);

  std::vector<Node> nodes_;
  std::vector<Descriptor> operations_;
  std::vector<Descriptor> referenced_;  ///< kept alive for the operations that refer to them
  std::int64_t next_number_ = 1000;
};

}  // namespace meshattn::gpu
