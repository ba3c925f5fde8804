using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Grpc.Core;
using LlamaCluster.Cluster.Mapping;
using LlamaCluster.Cluster.Rpc;
using LlamaCluster.Coordinator.Generation;
using LlamaCluster.Protos;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Coordinator.Peers;

/// <summary>
/// The sequences of one request on another coordinator's replica: one call, whose replies are shared out to their readers. When the call breaks, each
/// sequence that has not ended fails in a way that can be retried.
/// </summary>
sealed class RemoteRun
{
    /// <summary>
    /// Events of one sequence that nobody has read yet. When there are as many, the call's replies wait, and with them the other coordinator.
    /// </summary>
    const int MostUnread = 4096;

    readonly string _replica;
    readonly int _vocabularySize;
    readonly Channel<SequenceEvent>[] _events;
    readonly Channel<GenerateRequest> _leaving = Channel.CreateUnbounded<GenerateRequest>(new UnboundedChannelOptions { SingleReader = true });
    readonly CancellationTokenSource _over = new();
    int _open;

    /// <param name="vocabularySize">V: ids are below it.</param>
    public RemoteRun(string replica, int sequences, int vocabularySize)
    {
        (_replica, _vocabularySize, _open) = (replica, vocabularySize, sequences);
        _events =
        [
            .. Enumerable.Range(0, sequences).Select(_ =>
                Channel.CreateBounded<SequenceEvent>(new BoundedChannelOptions(MostUnread) { SingleReader = true, SingleWriter = true })),
        ];
    }

    /// <summary>Makes the call, until all sequences have ended or were left. Never throws.</summary>
    public async Task RunAsync(Wire.Replicas.ReplicasClient client, Metadata headers, IEnumerable<GenerateRequest> first)
    {
        var problem = $"the coordinator of replica {_replica} ended the call";
        try
        {
            using var call = client.Generate(headers, cancellationToken: _over.Token);
            var writing = WriteAsync(call.RequestStream, first);
            while (await call.ResponseStream.MoveNext(_over.Token)) await DispatchAsync(call.ResponseStream.Current);
            _leaving.Writer.TryComplete();
            await writing;
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException or InvalidMessageException or HttpRequestException)
        {
            problem = $"the coordinator of replica {_replica} was lost: {RpcProblem.Describe(e)}";
        }
        finally
        {
            _leaving.Writer.TryComplete();
            foreach (var channel in _events)
            {
                channel.Writer.TryWrite(new SequenceEvent.Failed(problem, Retryable: true));   // nobody reads it behind the last event
                channel.Writer.TryComplete();
            }
            _over.Dispose();
        }
    }

    public async IAsyncEnumerable<SequenceEvent> ReadAsync(int sequence, [EnumeratorCancellation] CancellationToken cancellation)
    {
        try
        {
            await foreach (var happened in _events[sequence].Reader.ReadAllAsync(cancellation))
            {
                yield return happened;
                if (IsLast(happened)) yield break;
            }
        }
        finally
        {
            Leave(sequence);
        }
    }

    void Leave(int sequence)
    {
        _events[sequence].Writer.TryComplete();
        if (Interlocked.Decrement(ref _open) > 0)
        {
            _leaving.Writer.TryWrite(new GenerateRequest { Leave = new SequenceLeave { Sequence = (uint)sequence } });
            return;
        }
        try
        {
            _over.Cancel();
        }
        catch (ObjectDisposedException)
        {
            return;   // the call is over already
        }
    }

    async Task WriteAsync(IClientStreamWriter<GenerateRequest> requests, IEnumerable<GenerateRequest> first)
    {
        try
        {
            foreach (var message in first) await requests.WriteAsync(message, _over.Token);
            await foreach (var message in _leaving.Reader.ReadAllAsync(_over.Token)) await requests.WriteAsync(message, _over.Token);
            await requests.CompleteAsync();
        }
        catch (Exception e) when (e is RpcException or IOException or OperationCanceledException or InvalidOperationException)
        {
            return;   // the call is over, which its reader says
        }
    }

    async Task DispatchAsync(GenerateReply reply)
    {
        var writer = _events[Field.Count("sequence", reply.Sequence, 0, _events.Length - 1)].Writer;
        var happened = reply.ToEvent(_vocabularySize);
        try
        {
            if (!writer.TryWrite(happened)) await writer.WriteAsync(happened, _over.Token);
            if (IsLast(happened)) writer.TryComplete();
        }
        catch (ChannelClosedException)
        {
            return;   // its reader has left
        }
    }

    static bool IsLast(SequenceEvent happened) => happened is SequenceEvent.Finished or SequenceEvent.Failed or SequenceEvent.Refused;
}
