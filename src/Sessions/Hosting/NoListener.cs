using System.Net;
using Microsoft.AspNetCore.Connections;

namespace LlamaCluster.Sessions.Hosting;

/// <summary>Stands for a listener of connections, and takes none: a silo without others opens no port.</summary>
sealed class NoListener : IConnectionListenerFactory
{
    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => new(new Silent(endpoint));

    sealed class Silent(EndPoint endpoint) : IConnectionListener
    {
        readonly TaskCompletionSource<ConnectionContext?> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public EndPoint EndPoint => endpoint;

        /// <returns>Null when the listener is closed, and nothing before.</returns>
        public ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) => new(_closed.Task.WaitAsync(cancellationToken));

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            _closed.TrySetResult(null);
            return ValueTask.CompletedTask;
        }

        public ValueTask DisposeAsync() => UnbindAsync();
    }
}
