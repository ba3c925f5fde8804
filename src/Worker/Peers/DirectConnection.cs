using System.Net.Security;
using System.Net.Sockets;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A TCP connection between two ranks, beside their gRPC stream. The handshake: TLS if the cluster has it; then the caller sends 8 bytes that
/// name the protocol, and the one-time token that it was given over gRPC; then one byte comes back.
/// </summary>
/// <param name="Connection">The TCP connection.</param>
/// <param name="Stream">What is read and written: the connection, or TLS over it.</param>
sealed record DirectConnection(PeerSocket Connection, Stream Stream) : IDisposable
{
    public const int TokenBytes = 32;

    const byte Welcome = 6;

    static ReadOnlySpan<byte> Greeting => "LLMRANK1"u8;

    /// <summary>Connects to the port that another rank offered.</summary>
    /// <param name="timeout">Of later reads and writes. The handshake's deadline is <paramref name="cancellation"/>.</param>
    /// <exception cref="IOException">The port cannot be reached, or the other rank does not take the token.</exception>
    public static async Task<DirectConnection> DialAsync(
        string host, int port, ReadOnlyMemory<byte> token, ClusterTls? tls, TimeSpan timeout, CancellationToken cancellation)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(host, port, cancellation);
            var opened = Over(socket, tls, timeout);
            if (opened.Stream is SslStream secure) await secure.AuthenticateAsClientAsync(tls!.ForClient(host), cancellation);
            await opened.Stream.WriteAsync((byte[])[.. Greeting, .. token.Span], cancellation);
            var answer = new byte[1];
            return await opened.Stream.ReadAsync(answer, cancellation) == 1 && answer[0] == Welcome
                ? opened
                : throw new IOException("it did not take the token");
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is SocketException or System.Security.Authentication.AuthenticationException) throw new IOException(e.Message);
            throw;
        }
    }

    /// <summary>Answers a caller's handshake.</summary>
    /// <param name="claim">Whether the bytes are the token, and nobody came with it before.</param>
    /// <returns>Null if the caller is not the rank that the token was given to. The socket is closed then.</returns>
    public static async Task<DirectConnection?> AnswerAsync(
        Socket socket, Func<ReadOnlyMemory<byte>, bool> claim, ClusterTls? tls, TimeSpan timeout, CancellationToken cancellation)
    {
        DirectConnection? taken = null;
        try
        {
            var opened = Over(socket, tls, timeout);
            if (opened.Stream is SslStream secure) await secure.AuthenticateAsServerAsync(tls!.ForServer(), cancellation);
            var said = new byte[Greeting.Length + TokenBytes];
            // A caller that begins wrong is not waited for.
            await opened.Stream.ReadExactlyAsync(said.AsMemory(0, Greeting.Length), cancellation);
            if (!said.AsSpan(0, Greeting.Length).SequenceEqual(Greeting)) return null;
            await opened.Stream.ReadExactlyAsync(said.AsMemory(Greeting.Length), cancellation);
            if (!claim(said.AsMemory(Greeting.Length))) return null;
            // Not to be given up half way: who gets this byte takes the connection for opened. There is room for it in any system's buffers.
            await opened.Stream.WriteAsync((byte[])[Welcome], CancellationToken.None);
            return taken = opened;
        }
        finally
        {
            if (taken is null) socket.Dispose();
        }
    }

    public void Dispose() => Stream.Dispose();

    static DirectConnection Over(Socket socket, ClusterTls? tls, TimeSpan timeout)
    {
        var connection = PeerSocket.Over(socket, timeout);
        return new DirectConnection(connection, tls is null ? connection : new SslStream(connection));
    }
}
