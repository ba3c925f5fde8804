using LlamaCluster.Coordinator;
using LlamaCluster.Coordinator.Hosting;

namespace LlamaCluster.Cli.Commands;

/// <summary>Starts a coordinator, or says in one line which address it cannot have.</summary>
static class Listening
{
    public static async Task StartAsync(CoordinatorHost host, CoordinatorOptions options, CancellationToken cancellation)
    {
        try
        {
            await host.StartAsync(cancellation);
        }
        catch (IOException taken)
        {
            throw new CommandFailedException($"cannot listen on {options.Listen} and {options.GrpcListen}: {taken.Message} Stop what uses the port, or choose another one.");
        }
    }
}
