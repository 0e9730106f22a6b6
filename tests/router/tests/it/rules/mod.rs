//! Each rule of the observed router, by its number.

mod channels;
mod framing;
mod limits;
mod lists;
mod owners;
mod routing;
mod startup;
