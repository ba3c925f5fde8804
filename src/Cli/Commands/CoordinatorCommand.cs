using System.CommandLine;
using LlamaCluster.Coordinator;

namespace LlamaCluster.Cli.Commands;

/// <summary>`coordinator`: serves the API and waits for workers of other machines.</summary>
static class CoordinatorCommand
{
    public static Command Create()
    {
        var model = ModelOption.Create();
        var listen = new Option<string>("--listen") { HelpName = "URL", Description = "where clients reach the API", DefaultValueFactory = _ => "http://127.0.0.1:8080" };
        var grpcListen = new Option<string>("--grpc-listen") { HelpName = "URL", Description = "where workers reach the coordinator", DefaultValueFactory = _ => "http://127.0.0.1:8081" };
        var workers = new Option<int>("--workers") { HelpName = "N", Description = "workers to wait for before the model is loaded", DefaultValueFactory = _ => 2 };
        var tensorParallel = new Option<int>("--tensor-parallel") { HelpName = "T", Description = "workers that share each stage", DefaultValueFactory = _ => 1 };
        var context = new Option<int?>("--context") { HelpName = "N", Description = "most tokens of prompt and answer; without it the model's own limit" };
        var command = new Command("coordinator", "Serve the API; workers register and are given their shards.") { model, listen, grpcListen, workers, tensorParallel, context };
        command.SetAction((parsed, cancellation) => RunAsync(
            new CoordinatorOptions
            {
                ModelPath = ModelOption.PathOf(parsed, model),
                Listen = parsed.GetRequiredValue(listen),
                GrpcListen = parsed.GetRequiredValue(grpcListen),
                Workers = parsed.GetValue(workers),
                TensorParallel = parsed.GetValue(tensorParallel),
                ContextLength = parsed.GetValue(context),
            },
            parsed.InvocationConfiguration.Error,
            cancellation));
        return command;
    }

    static async Task<int> RunAsync(CoordinatorOptions options, TextWriter error, CancellationToken cancellation)
    {
        await using var host = CoordinatorHost.Create(options);
        await Listening.StartAsync(host, options, cancellation);
        error.WriteLine($"listening api={host.ApiAddress.GetLeftPart(UriPartial.Authority)} grpc={host.GrpcAddress.GetLeftPart(UriPartial.Authority)} model={host.Model.Name}");
        await host.WaitForShutdownAsync(cancellation);
        return ExitCode.Done;
    }
}
