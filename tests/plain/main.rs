//! What is no upgrade: requests and answers pass, streamed both ways, whatever they are about.

mod bodies;
mod connections;
mod cut_short;
mod figures;
mod heads;
mod trailers;
