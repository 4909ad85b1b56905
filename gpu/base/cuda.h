#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>

#include "gpu/base/deadline.h"

namespace meshattn::gpu {

/// @throws DeviceError naming `what` and the reason, unless `status` is success
void check(cudaError_t status, std::string_view what);

/// Waits until a stream is idle. @returns false if the deadline passes first
[[nodiscard]] bool wait_for(cudaStream_t stream, Deadline deadline);

/// Memory of the current device, freed by the destructor.
class DeviceBytes {
 public:
  DeviceBytes() = default;
  explicit DeviceBytes(std::size_t size);

  [[nodiscard]] std::byte* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { (void)cudaFree(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
};

/// A stream of the current device that does not synchronize with the default stream.
class Stream {
 public:
  enum class Priority { kNormal, kHigh };
  explicit Stream(Priority priority);

  [[nodiscard]] cudaStream_t get() const { return stream_.get(); }

 private:
  struct Destroy {
    void operator()(cudaStream_t s) const { (void)cudaStreamDestroy(s); }
  };
  std::unique_ptr<CUstream_st, Destroy> stream_;
};

/// An event of the current device. It records the time if `timed`.
class Event {
 public:
  explicit Event(bool timed);

  [[nodiscard]] cudaEvent_t get() const { return event_.get(); }

 private:
  struct Destroy {
    void operator()(cudaEvent_t e) const { (void)cudaEventDestroy(e); }
  };
  std::unique_ptr<CUevent_st, Destroy> event_;
};

/// The number of CUDA devices that this process sees.
/// @throws InvalidInput with the reason if there is none
[[nodiscard]] int device_count();

}  // namespace meshattn::gpu
