using System.Globalization;
using Grpc.Core;
using Grpc.Health.V1;
using LlamaCluster.Cli.Commands;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Planning.Plans;

namespace LlamaCluster.Cli.Doctor;

/// <summary>Whether this machine reaches a worker's gRPC address, and how fast it answers. Nobody needs a key to be asked for health.</summary>
sealed class WorkerReach(PeerChannels channels, TimeProvider time)
{
    const int Calls = 8;
    const double LongRoundTrip = 2e-3;

    public async Task<IReadOnlyList<Diagnosis>> CheckAsync(Uri address, CancellationToken cancellation)
    {
        var check = PeerAddress.Format(address);
        using var channel = channels.Open(address);
        var client = new Health.HealthClient(channel);
        try
        {
            var clock = await ClockAsync(client, cancellation);
            var fastest = double.MaxValue;
            for (var i = 0; i < Calls; i++)
            {
                var begun = time.GetTimestamp();
                await client.CheckAsync(new HealthCheckRequest(), deadline: Deadline, cancellationToken: cancellation);
                fastest = Math.Min(fastest, time.GetElapsedTime(begun).TotalSeconds);
            }
            var answers = $"answers, {Amount.Seconds(fastest)} there and back";
            Diagnosis reach = fastest > LongRoundTrip
                ? new(check, Verdict.Warn, answers, "every token waits for it once in each stage: bring the machines closer together")
                : new(check, Verdict.Ok, answers);
            return clock is { } later ? [reach, ClusterChecks.Clock($"{address.Host}'s clock", later)] : [reach];
        }
        catch (RpcException failed) when (failed.StatusCode is StatusCode.Unavailable or StatusCode.DeadlineExceeded)
        {
            return [new(check, Verdict.Fail, $"cannot be reached: {RpcProblem.Describe(failed)}",
                $"start the worker with --listen {address.Scheme}://0.0.0.0:{address.Port} or an address of its network, and open the port in its firewall")];
        }
        catch (RpcException other)
        {
            var what = other.StatusCode is StatusCode.Internal or StatusCode.Unimplemented
                ? "what answers there does not speak gRPC as a worker does"
                : RpcProblem.Describe(other);
            return [new(check, Verdict.Fail, $"is no worker of a cluster: {what}", "give the address that the worker listens on, as its log names it")];
        }
    }

    DateTime Deadline => (time.GetUtcNow() + RpcSettings.CallDeadline).UtcDateTime;

    /// <summary>How much later the other machine's clock is, in seconds, as far as whole seconds tell; null: it does not say.</summary>
    async Task<double?> ClockAsync(Health.HealthClient client, CancellationToken cancellation)
    {
        using var call = client.CheckAsync(new HealthCheckRequest(), deadline: Deadline, cancellationToken: cancellation);
        var headers = await call.ResponseHeadersAsync;
        await call;
        if (!DateTimeOffset.TryParse(headers.GetValue("date"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var said)) return null;
        var later = (said - time.GetUtcNow()).TotalSeconds;
        return Math.Abs(later) < 2 ? 0 : later;   // the header has no fractions, and is a second old at times
    }
}
