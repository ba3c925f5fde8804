using LlamaCluster.Cluster.Activations;
using LlamaCluster.Protos;
using LlamaCluster.Worker.Peers;
using static LlamaCluster.Protos.RankFrame.Types;

namespace LlamaCluster.Worker.Activations;

/// <summary>
/// Sends steps on a direct connection to the next stage, on the thread that has computed them: no other thread has a part in it. A step that fits into the
/// link's window travels on the link whole, so sending it never waits. A larger one, or one that the next stage is not ready for, travels by the stream,
/// whose threads read ahead while both stages compute; the link then only says so. Either way the next stage finds all steps on the link, in order.
/// </summary>
sealed class StepLinkSender(IPeerLink link, ActivationShape shape)
{
    readonly Queue<(ulong StepId, int Bytes)> _underWay = new();
    int _bytes;
    ulong _oldest;

    /// <summary>The first step on the link that the next stage has not said that it took. 0: none. For any thread.</summary>
    public ulong Oldest => Volatile.Read(ref _oldest);

    /// <param name="payload">[rows, D], encoded.</param>
    /// <returns>False: the step is to go by the stream.</returns>
    /// <exception cref="PeerLinkException">The link is broken.</exception>
    public bool TrySend(ulong stepId, int rows, ReadOnlySpan<byte> payload)
    {
        while (_underWay.Count > 0 && link.HasMessage) TakeAcknowledgement();
        if (_underWay.Count == shape.MaxSteps || _bytes + payload.Length > IPeerLink.Window)
        {
            link.Send(Header(Content.RowsByStream, stepId, rows, 0), []);
            return false;
        }
        for (var (piece, first) = (0, 0); first < payload.Length; piece++, first += IPeerLink.MaxPayload)
            link.Send(Header(Content.Rows, stepId, rows, piece), payload.Slice(first, Math.Min(IPeerLink.MaxPayload, payload.Length - first)));
        _underWay.Enqueue((stepId, payload.Length));
        _bytes += payload.Length;
        Volatile.Write(ref _oldest, _underWay.Peek().StepId);
        return true;
    }

    void TakeAcknowledgement()
    {
        link.Receive(out var header, []);
        if (header.Content != Content.RowsTaken || header.ViewVersion != shape.ViewVersion)
        {
            link.Close($"{link.Peer} sent {header}, where only steps are acknowledged");
            throw new PeerLinkException($"{link.Peer} sent {header}, where only steps are acknowledged");
        }
        while (_underWay.TryPeek(out var oldest) && oldest.StepId <= header.StepId) _bytes -= _underWay.Dequeue().Bytes;
        Volatile.Write(ref _oldest, _underWay.TryPeek(out var next) ? next.StepId : 0);
    }

    LinkHeader Header(Content content, ulong stepId, int rows, int piece) => new(shape.ViewVersion, stepId, content, (uint)rows, (uint)piece);
}

/// <summary>
/// Receives what a <see cref="StepLinkSender"/> sends, on the thread that computes. Nothing that arrives is trusted: whatever is later used as a length is
/// checked here.
/// </summary>
sealed class StepLinkReceiver(IPeerLink link, ActivationShape shape) : IAsyncDisposable
{
    byte[] _bytes = [];

    /// <summary>Waits for a step. Earlier ones are dropped.</summary>
    /// <param name="rows">[B, D]. Taken from the link, unless the step comes by the stream.</param>
    /// <param name="byStream">Its frames come by the stream.</param>
    /// <returns>Null: the rows are there, or will come by the stream. Else why they never will be.</returns>
    /// <exception cref="PeerLinkException">The link is broken, or nothing came in time.</exception>
    public StepFailure? Receive(ulong stepId, Span<float> rows, out bool byStream)
    {
        while (true)
        {
            Reserve(Math.Min(IPeerLink.MaxPayload, shape.MaxStepRows * (long)shape.RowBytes));
            var length = link.Receive(out var header, _bytes);
            byStream = header.Content == Content.RowsByStream;
            if (Problem(header) is { } problem) throw Confused(header, problem);
            if (header.StepId > stepId) return new StepFailure(StepFailed.Types.Reason.PeerLost, $"stage {shape.FromStage} left step {stepId} out");
            if (byStream && header.StepId == stepId) return null;
            if (byStream) continue;
            var bytes = ReceiveRest(header, length);
            link.Send(new LinkHeader(shape.ViewVersion, header.StepId, Content.RowsTaken, 0, 0), []);
            if (header.StepId < stepId) continue;
            var expected = rows.Length / shape.HiddenSize;
            if (header.Exchange != expected) return StepFailure.WrongRows(shape, stepId, header.Exchange, expected);
            ActivationCodec.Decode(shape.Type, bytes, shape.HiddenSize, rows);
            return null;
        }
    }

    public void Close(string reason) => link.Close(reason);

    public ValueTask DisposeAsync() => link.DisposeAsync();

    string? Problem(in LinkHeader header)
    {
        if (header.ViewVersion != shape.ViewVersion) return $"view {header.ViewVersion} is not this worker's, which is {shape.ViewVersion}";
        if (header.Content is not (Content.Rows or Content.RowsByStream)) return "only rows of steps are due";
        if (header.Exchange == 0 || header.Exchange > shape.MaxStepRows) return $"a step has 1 to {shape.MaxStepRows} rows";
        if (header.Chunk != 0) return "the step begins in its middle";
        return header.Content == Content.Rows && header.Exchange * (long)shape.RowBytes > IPeerLink.Window
            ? $"a step of more than {IPeerLink.Window} bytes goes by the stream"
            : null;
    }

    /// <param name="length">Bytes of its first piece, which are here.</param>
    ReadOnlySpan<byte> ReceiveRest(in LinkHeader first, int length)
    {
        var total = (int)first.Exchange * shape.RowBytes;
        Reserve(total);
        var header = first;
        for (var (piece, at) = (0, 0); ; length = link.Receive(out header, _bytes.AsSpan(at, Math.Min(IPeerLink.MaxPayload, total - at))))
        {
            var due = Math.Min(IPeerLink.MaxPayload, total - at);
            if (header != first with { Chunk = (uint)piece } || length != due)
                throw Confused(header, $"{length} bytes, where piece {piece} of step {first.StepId} was due with {due}");
            (piece, at) = (piece + 1, at + length);
            if (at == total) return _bytes.AsSpan(0, total);
        }
    }

    void Reserve(long bytes)
    {
        if (_bytes.Length < bytes) Array.Resize(ref _bytes, (int)bytes);
    }

    PeerLinkException Confused(in LinkHeader header, string problem)
    {
        var message = $"{link.Peer} sent {header}: {problem}";
        link.Close(message);
        return new PeerLinkException(message);
    }
}
