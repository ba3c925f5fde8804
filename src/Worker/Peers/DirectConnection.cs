using System.Net.Security;
using System.Net.Sockets;
using LlamaCluster.Cluster.Rpc;

namespace LlamaCluster.Worker.Peers;

/// <summary>
/// A TCP connection between two ranks on which the one that called has said the token that it was given: TLS first, if the cluster has it,
/// then 8 bytes by which to know the protocol and the token; one byte comes back.
/// </summary>
/// <param name="Connection">The connection itself.</param>
/// <param name="Stream">What is spoken on it: the connection, or TLS over it.</param>
sealed record DirectConnection(PeerSocket Connection, Stream Stream) : IDisposable
{
    public const int TokenBytes = 32;

    const byte Welcome = 6;

    static ReadOnlySpan<byte> Greeting => "LLMRANK1"u8;

    /// <summary>Connects to where a direct connection was offered.</summary>
    /// <param name="timeout">Of the direct connection's later reads and writes; the handshake's deadline is the token's.</param>
    /// <exception cref="IOException">It cannot be reached, or does not take the token.</exception>
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
            return await opened.Stream.ReadAsync(answer, cancellation) == 1 && answer[0] == Welcome ? opened : throw new IOException("it did not take the token");
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is SocketException or System.Security.Authentication.AuthenticationException) throw new IOException(e.Message);
            throw;
        }
    }

    /// <summary>Hears a caller out.</summary>
    /// <param name="claim">Whether what it said is the token, and the first time so.</param>
    /// <returns>Null if it is not the one; it is hung up on then.</returns>
    public static async Task<DirectConnection?> AnswerAsync(Socket socket, Func<ReadOnlyMemory<byte>, bool> claim, ClusterTls? tls, TimeSpan timeout, CancellationToken cancellation)
    {
        DirectConnection? taken = null;
        try
        {
            var opened = Over(socket, tls, timeout);
            if (opened.Stream is SslStream secure) await secure.AuthenticateAsServerAsync(tls!.ForServer(), cancellation);
            var said = new byte[Greeting.Length + TokenBytes];
            // What begins wrong is not worth waiting for.
            await opened.Stream.ReadExactlyAsync(said.AsMemory(0, Greeting.Length), cancellation);
            if (!said.AsSpan(0, Greeting.Length).SequenceEqual(Greeting)) return null;
            await opened.Stream.ReadExactlyAsync(said.AsMemory(Greeting.Length), cancellation);
            if (!claim(said.AsMemory(Greeting.Length))) return null;
            await opened.Stream.WriteAsync((byte[])[Welcome], cancellation);
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
