using System.Diagnostics;
using System.Reflection;

namespace LlamaCluster.Cli.Up;

/// <summary>How to start this program once more: its own executable, or the dotnet host with its assembly.</summary>
static class OwnProgram
{
    public static ProcessStartInfo With(IEnumerable<string> arguments)
    {
        var path = Environment.ProcessPath ?? throw new CommandFailedException("the system does not say where this program is, so no worker can be started");
        var hosted = Path.GetFileNameWithoutExtension(path) == "dotnet";
        return new ProcessStartInfo(path, hosted ? [Assembly.GetExecutingAssembly().Location, .. arguments] : arguments) { UseShellExecute = false };
    }
}
