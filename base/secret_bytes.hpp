// Secrets in memory: wiped when they are no longer needed, and never printed by accident.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>

namespace balancer {

// Overwrites what the text holds, in a way that the compiler does not leave out, and empties it.
void wipe(std::string& secret);

// A secret of a fixed size, in one place of memory which is wiped at the end. Moves only, so that there are as many
// copies as somebody asked for; view() is for whoever uses it, and must not be kept. There is no way to print one.
class SecretBytes {
  public:
    SecretBytes() = default;
    explicit SecretBytes(std::string_view bytes);
    // `size` zero bytes, to be filled through data().
    explicit SecretBytes(std::size_t size);
    ~SecretBytes();
    SecretBytes(SecretBytes&& other) noexcept;
    SecretBytes& operator=(SecretBytes&& other) noexcept;
    SecretBytes(const SecretBytes&) = delete;
    SecretBytes& operator=(const SecretBytes&) = delete;

    SecretBytes copy() const { return SecretBytes(view()); }

    std::string_view view() const { return {bytes_.get(), size_}; }
    unsigned char* data() { return reinterpret_cast<unsigned char*>(bytes_.get()); }
    const unsigned char* data() const { return reinterpret_cast<const unsigned char*>(bytes_.get()); }
    std::size_t size() const { return size_; }
    bool empty() const { return size_ == 0; }

    // In time that depends on the lengths only.
    friend bool operator==(const SecretBytes& a, const SecretBytes& b);

    friend std::ostream& operator<<(std::ostream&, const SecretBytes&) = delete;

  private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_ = 0;
};

}  // namespace balancer
