// libFuzzer's entry point; BALANCER_FUZZ_TARGET is the function that this program is made for.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    balancer::fuzz::BALANCER_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
    return 0;
}
