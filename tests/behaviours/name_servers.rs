//! The CA is told to look only after the name servers have been seen to answer; what is odd
//! about one is told by its name.

mod blocking;
mod fallbacks;
mod lagging;
mod out_of_order;
mod table;
