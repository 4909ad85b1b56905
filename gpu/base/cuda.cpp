#include "gpu/base/cuda.h"

#include <spdlog/fmt/fmt.h>

#include <cstdlib>
#include <thread>

#include "core/base/error.h"

namespace meshattn::gpu {

void check(cudaError_t status, std::string_view what) {
  if (status != cudaSuccess)
    throw DeviceError(fmt::format("CUDA: {}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status)));
}

bool wait_for(cudaStream_t stream, Deadline deadline) {
  cudaError_t status = cudaStreamQuery(stream);
  while (status == cudaErrorNotReady && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
    status = cudaStreamQuery(stream);
  }
  (void)cudaGetLastError();  // "not ready" must not be reported as the error of a later call
  if (status == cudaErrorNotReady) return false;
  check(status, "the work of a stream");
  return true;
}

DeviceBytes::DeviceBytes(std::size_t size) : size_(size) {
  void* made = nullptr;
  check(cudaMalloc(&made, size), fmt::format("{} bytes of device memory", size));
  data_.reset(static_cast<std::byte*>(made));
}

Stream::Stream(Priority priority) {
  int least = 0, greatest = 0;
  check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "stream priorities");
  cudaStream_t made = nullptr;
  check(cudaStreamCreateWithPriority(&made, cudaStreamNonBlocking, priority == Priority::kHigh ? greatest : least),
        "stream creation");
  stream_.reset(made);
}

Event::Event(bool timed) {
  cudaEvent_t made = nullptr;
  check(cudaEventCreateWithFlags(&made, timed ? cudaEventDefault : cudaEventDisableTiming), "event creation");
  event_.reset(made);
}

int device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0)
    throw InvalidInput(
        fmt::format("no CUDA device ({}): nvidia-smi lists the devices of the driver; --device cpu needs none",
                    status == cudaSuccess ? "none is there" : cudaGetErrorString(status)));
  return count;
}

}  // namespace meshattn::gpu
