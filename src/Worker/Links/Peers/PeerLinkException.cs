namespace LlamaCluster.Worker.Links.Peers;

/// <summary>A link between two ranks is over. The message is one line that names the peer and what happened.</summary>
sealed class PeerLinkException(string message) : Exception(message);
