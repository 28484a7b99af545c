// Buffers for bytes on their way: recycled, never zeroed. A fresh allocation per 100 KB request costs three times the
// rest of the relay (page faults: measured).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

namespace balancer::dataplane {

class BufferPool;

// Owns bytes [0, size) of a block of `capacity`; gives the block back when destroyed. Movable.
class Buffer {
  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept { swap(other); }
    Buffer& operator=(Buffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~Buffer();

    char* data() { return block_; }
    const char* data() const { return block_; }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    std::size_t room() const { return capacity_ - size_; }
    std::string_view view() const { return {block_, size_}; }
    explicit operator bool() const { return block_ != nullptr; }

    void resize(std::size_t size);  // at most capacity(); new bytes are not initialised
    void grow(std::size_t capacity_min);  // keeps the content
    void release() { Buffer().swap(*this); }
    void swap(Buffer& other) noexcept {
        std::swap(pool_, other.pool_);
        std::swap(block_, other.block_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
    }

  private:
    friend class BufferPool;
    BufferPool* pool_ = nullptr;
    char* block_ = nullptr;
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

// Lives on one worker; not thread-safe; outlives its buffers. Blocks are powers of two from 4 KiB; the last ones used are
// given out first, and at most kKeptBytesMax lie idle.
class BufferPool {
  public:
    static constexpr std::size_t kSmallest = 4096;
    static constexpr std::size_t kKeptBytesMax = 32U << 20;

    BufferPool() = default;
    ~BufferPool();
    BufferPool(const BufferPool&) = delete;
    BufferPool& operator=(const BufferPool&) = delete;

    Buffer take(std::size_t capacity_min);

    // Bytes in buffers that are out now.
    std::size_t bytes_out() const { return bytes_out_; }

  private:
    friend class Buffer;
    void give_back(char* block, std::size_t capacity);

    std::array<std::vector<char*>, 40> free_;
    std::size_t kept_bytes_ = 0;
    std::size_t bytes_out_ = 0;
};

}  // namespace balancer::dataplane
