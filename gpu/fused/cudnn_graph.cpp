#include "gpu/fused/cudnn_graph.h"

#include <spdlog/fmt/fmt.h>

#include <array>
#include <optional>

#include "core/base/error.h"

namespace meshattn::gpu {

namespace {

void check(cudnnStatus_t status, std::string_view what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  std::array<char, 1024> details{};
  cudnnGetLastErrorString(details.data(), details.size());
  throw DeviceError(fmt::format("cuDNN: {}: {}: {}", what, cudnnGetErrorString(status), details.data()));
}

std::vector<cudnnBackendDescriptor_t> raw(const std::vector<Descriptor>& descriptors) {
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor& d : descriptors) handles.push_back(d.get());
  return handles;
}

Descriptor properties_of(const PlanTarget& target) {
  Descriptor device(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
             static_cast<std::int64_t>(target.properties.size()), target.properties.data());
  device.finalize("device properties");
  return device;
}

/// The engine configurations that cuDNN's heuristics propose for a graph, the best first.
std::vector<Descriptor> proposals(const Descriptor& graph, const std::optional<Descriptor>& device) {
  Descriptor heuristics(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (device) heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *device);
  heuristics.finalize("heuristics");
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
                                 &count, nullptr),
        "heuristics");
  std::vector<Descriptor> found;
  for (std::int64_t i = 0; i < count; ++i) found.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  std::vector<cudnnBackendDescriptor_t> handles = raw(found);
  check(cudnnBackendGetAttribute(heuristics.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count,
                                 &count, handles.data()),
        "heuristics");
  found.resize(static_cast<std::size_t>(count), Descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
  return found;
}

}  // namespace

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t made = nullptr;
  check(cudnnBackendCreateDescriptor(type, &made), "descriptor creation");
  handle_ = {made, [](void* d) { cudnnBackendDestroyDescriptor(d); }};
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                     const void* values) {
  if (const cudnnStatus_t status = cudnnBackendSetAttribute(get(), name, type, count, values);
      status != CUDNN_STATUS_SUCCESS)
    check(status, fmt::format("attribute {}", static_cast<int>(name)));
}

void Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  const cudnnBackendDescriptor_t handle = value.get();
  set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &handle);
}

void Descriptor::finalize(const char* what) { check(cudnnBackendFinalize(get()), what); }

GraphPlan::GraphPlan(Descriptor plan, std::vector<Descriptor> referenced)
    : plan_(std::move(plan)), referenced_(std::move(referenced)) {
  std::int64_t count = 0;
  check(cudnnBackendGetAttribute(plan_.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count,
                                 &workspace_bytes_),
        "workspace size");
}

Descriptor GraphPlan::pack(std::span<const std::pair<std::int64_t, void*>> tensors, void* workspace) {
  std::vector<std::int64_t> numbers;
  std::vector<void*> addresses;
  for (const auto& [number, address] : tensors) {
    numbers.push_back(number);
    addresses.push_back(address);
  }
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  const auto count = static_cast<std::int64_t>(tensors.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, numbers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, addresses.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  pack.finalize("tensors");
  return pack;
}

void GraphPlan::run(cudnnHandle_t handle, const Descriptor& pack) const {
  check(cudnnBackendExecute(handle, plan_.get(), pack.get()), "execute");
}

Graph::Tensor Graph::tensor(std::int64_t number, std::vector<std::int64_t> dims, std::vector<std::int64_t> strides,
                            cudnnDataType_t type, bool is_virtual, bool by_value, Memory memory) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const auto rank = static_cast<std::int64_t>(dims.size());
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, rank, dims.data());
  d.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, rank, strides.data());
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, number);
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, memory.alignment);
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
  if (by_value) d.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, true);
  if (memory.order != CUDNN_TENSOR_REORDERING_NONE)
    d.set(CUDNN_ATTR_TENSOR_REORDERING_MODE, CUDNN_TYPE_TENSOR_REORDERING_MODE, memory.order);
  d.finalize("tensor");
  referenced_.push_back(d);
  return {d, number, std::move(dims), std::move(strides), type};
}

Graph::Tensor Graph::in_memory(std::int64_t number, std::vector<std::int64_t> dims, std::vector<std::int64_t> strides,
                               cudnnDataType_t type, Memory memory) {
  return tensor(number, std::move(dims), std::move(strides), type, false, false, memory);
}

Graph::Tensor Graph::scalar(std::int64_t number, cudnnDataType_t type) {
  return tensor(number, {1, 1, 1, 1}, {1, 1, 1, 1}, type, false, true, {});
}

Graph::Tensor Graph::virtual_tensor(std::vector<std::int64_t> dims, cudnnDataType_t type,
                                    std::vector<std::int64_t> strides) {
  if (strides.empty()) {
    strides.assign(dims.size(), 1);
    for (std::size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * dims[i];
  }
  return tensor(next_number_++, std::move(dims), std::move(strides), type, true, false, {});
}

void Graph::add(Descriptor operation, const char* what, Node node) {
  operation.finalize(what);
  operations_.push_back(std::move(operation));
  nodes_.push_back(std::move(node));
}

void Graph::matmul(const Tensor& a, const Tensor& b, const Tensor& result) {
  Descriptor how(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  how.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  how.finalize("matmul");
  referenced_.push_back(how);
  Descriptor op(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
  op.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, a.descriptor);
  op.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, b.descriptor);
  op.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, result.descriptor);
  add(std::move(op), "matmul", {Node::Kind::kMatmul, 0, {a, b}, result});
}

void Graph::reduce(cudnnReduceTensorOp_t how, const Tensor& x, const Tensor& result) {
  Descriptor reduction(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  reduction.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, how);
  reduction.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  reduction.finalize("reduction");
  referenced_.push_back(reduction);
  Descriptor op(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, reduction);
  op.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x.descriptor);
  op.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, result.descriptor);
  add(std::move(op), "reduction", {Node::Kind::kReduce, how, {x}, result});
}

void Graph::reshape(const Tensor& x, const Tensor& result) {
  Descriptor op(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x.descriptor);
  op.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, result.descriptor);
  add(std::move(op), "reshape", {Node::Kind::kReshape, 0, {x}, result});
}

Descriptor Graph::pointwise(cudnnPointwiseMode_t mode, cudnnDataType_t precision, const Tensor& x, const Tensor& result,
                            std::int64_t axis) {
  Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
  how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, precision);
  if (axis >= 0) how.set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis);
  how.finalize("pointwise");
  referenced_.push_back(how);
  Descriptor op(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x.descriptor);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, result.descriptor);
  return op;
}

void Graph::unary(cudnnPointwiseMode_t how, const Tensor& x, const Tensor& result) {
  add(pointwise(how, CUDNN_DATA_FLOAT, x, result), "pointwise", {Node::Kind::kPointwise, how, {x}, result});
}

void Graph::binary(cudnnPointwiseMode_t how, const Tensor& x, const Tensor& b, const Tensor& result,
                   cudnnDataType_t precision) {
  Descriptor op = pointwise(how, precision, x, result);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b.descriptor);
  add(std::move(op), "pointwise", {Node::Kind::kPointwise, how, {x, b}, result});
}

void Graph::index(const Tensor& x, std::int64_t axis, const Tensor& result) {
  add(pointwise(CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_FLOAT, x, result, axis), "index",
      {Node::Kind::kIndex, static_cast<int>(axis), {x}, result});
}

void Graph::select(const Tensor& where, const Tensor& x, const Tensor& b, const Tensor& result) {
  Descriptor op = pointwise(CUDNN_POINTWISE_BINARY_SELECT, CUDNN_DATA_FLOAT, x, result);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b.descriptor);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, where.descriptor);
  add(std::move(op), "select", {Node::Kind::kSelect, 0, {where, x, b}, result});
}

GraphPlan Graph::plan(const PlanTarget& target) {
  std::optional<Descriptor> device;
  if (target.handle == nullptr) device = properties_of(target);
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  const std::vector<cudnnBackendDescriptor_t> operations = raw(operations_);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<std::int64_t>(operations.size()),
            operations.data());
  if (!device) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, target.handle);
  graph.finalize("graph");
  std::string why = "no engine supports this attention graph";
  for (const Descriptor& proposal : proposals(graph, device)) try {
      Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, proposal);
      if (device)
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *device);
      else
        plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, target.handle);
      plan.finalize("plan");
      std::vector<Descriptor> referenced = referenced_;
      referenced.insert(referenced.end(), operations_.begin(), operations_.end());
      referenced.push_back(graph);
      referenced.push_back(proposal);
      return {std::move(plan), std::move(referenced)};
    } catch (const DeviceError& e) {
      why = e.what();
    }
  throw DeviceError(why);
}

}  // namespace meshattn::gpu
