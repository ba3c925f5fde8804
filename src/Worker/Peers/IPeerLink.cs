using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// An ordered channel of messages, both ways, between two ranks of a stage or two neighbouring stages. One thread sends and one receives, or one does
/// both in turn. They block where they must. Only <see cref="Close"/> may be called from other threads.
/// <para>
/// A send does not block while at most <see cref="Window"/> bytes are sent and not yet received. So two ranks may both send first and receive
/// then.
/// </para>
/// <para>Whatever goes wrong is a <see cref="PeerLinkException"/> and ends the link for good.</para>
/// </summary>
interface IPeerLink : IAsyncDisposable
{
    /// <summary>The most payload bytes of one message.</summary>
    const int MaxPayload = 64 << 10;

    /// <summary>Payload bytes that may be sent and not yet received before a send blocks.</summary>
    const int Window = 256 << 10;

    /// <summary>The most bytes that a link's buffers take.</summary>
    const long BufferBytes = 4L << 20;

    /// <summary>"shm", "tcp" or "grpc".</summary>
    string Kind { get; }

    /// <summary>The other end, for people: "rank 1 (http://host:port)".</summary>
    string Peer { get; }

    /// <summary>Whether <see cref="Receive"/> would find something at once, be it the end of the link.</summary>
    bool HasMessage { get; }

    /// <summary>Sends a message. The caller may reuse the payload when this returns.</summary>
    /// <exception cref="PeerLinkException">The link is broken, or the peer took nothing within the deadline.</exception>
    void Send(in LinkHeader header, ReadOnlySpan<byte> payload);

    /// <summary>Waits for the next message.</summary>
    /// <param name="payload">Takes its payload from the start.</param>
    /// <returns>Bytes of payload.</returns>
    /// <exception cref="PeerLinkException">
    /// The link is broken, nothing came within the deadline, or what came is no message, or is longer than <paramref name="payload"/>.
    /// </exception>
    int Receive(out LinkHeader header, Span<byte> payload);

    /// <summary>Ends the link. A thread that waits in it gets an exception with <paramref name="reason"/>.</summary>
    void Close(string reason);
}

/// <summary>What a message is part of. See RankFrame in reduce.proto.</summary>
/// <param name="Exchange">Between ranks: from 0, within the step. Between stages: rows of the step.</param>
/// <param name="Chunk">From 0, within the exchange or the step.</param>
readonly record struct LinkHeader(ulong ViewVersion, ulong StepId, RankFrame.Types.Content Content, uint Exchange, uint Chunk)
{
    public override string ToString() => $"{Content} of view {ViewVersion}, step {StepId}, exchange {Exchange}, chunk {Chunk}";
}

/// <summary>A link is over. The message is one line that names the peer and what happened.</summary>
sealed class PeerLinkException(string message) : Exception(message);
