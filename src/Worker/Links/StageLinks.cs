using LlamaCluster.Worker.Links.Ranks;

namespace LlamaCluster.Worker.Links;

/// <summary>What joins a worker to the others of a view.</summary>
/// <param name="Inbox">For activations of the stage before; null on the first stage.</param>
/// <param name="Group">The other ranks of the stage; null if there are none.</param>
/// <param name="Next">To those workers of the next stage that this one feeds.</param>
sealed record StageLinks(ActivationInbox? Inbox, RankGroup? Group, IReadOnlyList<ActivationSender> Next);
