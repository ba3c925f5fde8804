using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Answering;

/// <summary>What answers the requests of one address.</summary>
interface IEndpoint
{
    /// <returns>The error to answer with; null if the request has been answered.</returns>
    Task<ApiError?> AnswerAsync(HttpContext http);
}
