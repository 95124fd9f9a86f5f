// Runs a compiled program with the runtime alone: runtime FILE.ingot.
#include <ingot/Runtime.h>

int main(int argc, char **argv) {
  using namespace ingot;
  Result<Program> program = Program::load(argc > 1 ? argv[1] : "");
  if (!program)
    return fmt::print(stderr, "{}\n", program.error().text()), 1;
  auto device = openDevice("cpu", {.threads = 1}).value();
  auto session = device->load(std::make_shared<const Program>(std::move(*program))).value();
  for (const Port &port : session->program().function("forward")->ports)
    if (port.role == Role::Input) {
      std::vector<float> ones(size_t(elementCount(port.shape)), 1);
      if (Status written = session->write("forward", port.name, tensorOf(port.shape, ones).value());
          !written)
        return fmt::print(stderr, "{}\n", written.error().text()), 1;
    }
  if (Status ran = session->run("forward"); !ran)
    return fmt::print(stderr, "{}\n", ran.error().text()), 1;
  fmt::print("{}\n", toString(session->read("forward", "y").value()));
}
