// Options of AddressSanitizer for the tests and for the command that they run; no other build asks for them.
//
// An allocation too large for any machine fails, as it does without the sanitizer: what happens then is tested.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {  // NOLINT: a name it looks for
  return "allocator_may_return_null=1";
}
